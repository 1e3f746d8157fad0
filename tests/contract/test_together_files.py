"""Our check of Together's file rules against the one in its own SDK: what that refuses, ours refuses too.

Runs with the SDK of this environment, or of the Python that $TOGETHER_PYTHON names. Nothing is uploaded.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lora_tui.dataset import exporting, importing, together_rules
from lora_tui.dataset.formats import line
from lora_tui.dataset.model import Row, RowMessage
from lora_tui.sources.model import Function, ToolCall
from lora_tui.workspace.layout import Workspace

HERE = sys.executable if importlib.util.find_spec("together") else ""
PYTHON = os.environ.get("TOGETHER_PYTHON", HERE)

pytestmark = pytest.mark.skipif(not PYTHON, reason="no Together SDK: pip install 'lora-tui[together]'")

_SCRIPT = """
import json, sys
from together.lib.utils.files import check_file
print(json.dumps([check_file(path) for path in sys.argv[1:]]))
"""
GOOD = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}


def theirs(*paths: Path) -> list[dict[str, Any]]:
    done = subprocess.run([PYTHON, "-c", _SCRIPT, *map(str, paths)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_the_sdk_takes_what_is_exported_for_together(workspace: Workspace, tmp_path: Path) -> None:
    messages = [
        RowMessage("user", "Fix it \u2028 \x00 👩‍👩‍👧"),
        RowMessage("assistant", "", "hm", [ToolCall(id="a", function=Function("read", '{"a": 1}'))], weight=0),
        RowMessage("tool", "", tool_call_id="a"),
        RowMessage("assistant", "Done"),
    ]
    rows = [Row(id=line.row_id(messages), messages=messages, source="opencode", tools=[{"type": "function"}])]
    (tmp_path / "rows.jsonl").write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    made = importing.import_(workspace, tmp_path / "rows.jsonl")
    for together in (True, False):
        out = tmp_path / f"out-{together}"
        exporting.export(made.dataset, "messages", out, for_together=together)
        (report,) = theirs(out / "train.jsonl")
        assert report["is_check_passed"], report
        assert report["num_samples"] == 1
    assert list(together_rules.check(tmp_path / "out-True" / "train.jsonl")) == []


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("empty.jsonl", b"", None),
        ("blank.jsonl", b"\n\n", None),
        ("latin.jsonl", b'{"text": "\xe9"}\n', None),
        ("broken.jsonl", json.dumps(GOOD).encode() + b"\n{\n", 2),
        ("list.jsonl", json.dumps(GOOD).encode() + b"\n[1]\n", 2),
        ("rows.json", json.dumps([GOOD]).encode(), None),
        ("rows.csv", b"text\nhi\n", None),
    ],
)
def test_what_the_sdk_refuses_is_refused_here_with_the_same_line(
    name: str, content: bytes, line: int | None, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    (report,) = theirs(path)
    assert not report["is_check_passed"], report
    found = list(together_rules.check(path))
    assert found
    if line is not None:
        assert report.get("line_number", line) == line
        assert [problem.line for problem in found] == [line]


def test_our_check_knows_the_rules_that_only_the_server_holds_to(tmp_path: Path) -> None:
    path = tmp_path / "roles.jsonl"
    path.write_text(json.dumps({"messages": [{"role": "assistant", "content": "Hi"}]}) + "\n")
    (report,) = theirs(path)
    assert report["is_check_passed"]
    assert [problem.line for problem in together_rules.check(path)] == [1]
