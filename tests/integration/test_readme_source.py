"""The README's recipe for a source, followed to the letter."""

from __future__ import annotations

import re
import sys
import textwrap
import types
from pathlib import Path

import pytest

from lora_tui.cli.main import run
from lora_tui.sources import read
from lora_tui.sources.registry import SOURCES, Registered
from lora_tui.workspace.layout import Workspace

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture
def jotter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The source of the README, registered by the line of the README."""
    recipe = README.read_text().partition("### Add a source")[2]
    module, line = (textwrap.dedent(block) for block in re.findall(r"```python\n(.*?)```", recipe, re.S))
    made = types.ModuleType("lora_tui.sources.jotter")
    monkeypatch.setitem(sys.modules, made.__name__, made)
    exec(compile(module, "jotter.py", "exec", dont_inherit=True), made.__dict__)
    added = eval("{" + line + "}", {"Registered": Registered})
    monkeypatch.setitem(SOURCES, "jotter", added["jotter"])


def test_a_source_of_one_file_and_one_line_works(
    jotter: None, tmp_path: Path, workspace: Workspace, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "good.json").write_text('[{"who": "me", "text": "why is it so?"}, {"who": "it", "text": "Because."}]')
    (tmp_path / "bad.json").write_text("[{")
    command = ["--workspace", str(workspace.root), "ingest", "jotter", str(tmp_path)]
    assert run(command) == 0
    assert "jotter: 2 sessions: 2 new" in (shown := capfd.readouterr().out)
    assert "session bad: " in shown
    messages = list(read.messages(workspace, read.session(workspace, "good").id))
    assert [(m.role, m.content) for m in messages] == [("user", "why is it so?"), ("assistant", "Because.")]
    assert run(command) == 0
    assert "2 unchanged" in capfd.readouterr().out
    assert run(["ingest", "jotter"]) == 2
    assert "Jotter has no sessions here" in capfd.readouterr().err
