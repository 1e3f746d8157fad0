"""A merge goes into production only when a report says how it does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adapter_folders import factors, write_adapter
from lora_tui.adapters import registry
from lora_tui.adapters.metadata import Metadata, Source
from lora_tui.cli.main import run
from lora_tui.jobs.journal import Answer, Check
from lora_tui.verify.reports import files as report_files
from lora_tui.verify.reports.concluding import Heard, conclude
from lora_tui.verify.suites.suite import Case, Suite
from lora_tui.workspace.layout import Workspace


@pytest.fixture
def merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace with both@1.0.0, an average of two."""
    monkeypatch.setenv("LORA_TUI_WORKSPACE", str(tmp_path / "workspace"))
    workspace = Workspace(tmp_path / "workspace")
    folder = write_adapter(tmp_path / "both", factors({"layers.0.q_proj": (8, 6)}, 2), r=2)
    about = Metadata(
        name="both", base="lab/base", strategy="average", sources=(Source("a@1.0.0", 0.5), Source("b@1.0.0", 0.5))
    )

    def fill(draft: Path) -> None:
        for path in folder.iterdir():
            (draft / path.name).write_bytes(path.read_bytes())

    registry.add(workspace, about, fill)
    return workspace


def _report(workspace: Workspace, tuned: str) -> None:
    case = Case(description="one", prompt="p", expectations=())
    check = Check(expectation="e", passed=True)
    heard = Heard.of([Answer(prompt=0, side=side, text="x", checks=(check,)) for side in ("baseline", "tuned")])
    suite = Suite("rust", "", workspace.root, (case,))
    made = conclude("r1", suite, {"baseline": "base:lab/base", "tuned": tuned}, heard)
    report_files.write(made, workspace.reports / "r1")


def test_a_merge_is_promoted_with_a_report_and_not_without(
    merged: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["promote", "both@1.0.0"]) == 2
    said = capsys.readouterr().err
    assert "it is merged and no report says how it does" in said
    assert "lora-tui verify SUITE --baseline base:lab/base --tuned adapter:both@1.0.0" in said
    _report(merged, "adapter:other@1.0.0")
    assert run(["promote", "both@1.0.0"]) == 2
    _report(merged, "adapter:both@1.0.0")
    capsys.readouterr()
    assert run(["promote", "both@1.0.0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["version"] == "both@1.0.0"


def test_a_merge_is_promoted_without_a_report_only_by_force_and_that_is_said(
    merged: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["promote", "both", "--force", "--json"]) == 0
    told = capsys.readouterr()
    done = json.loads(told.out)
    assert done["version"] == "both@1.0.0"
    assert "no report says how it does" in done["warnings"][0]
