"""`lora-tui adapters …` as a person types it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adapter_folders import factors, write_adapter
from lora_tui.cli.main import run

SHAPES = {"layers.0.q_proj": (8, 6)}


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two adapters outside of an empty workspace."""
    monkeypatch.setenv("LORA_TUI_WORKSPACE", str(tmp_path / "workspace"))
    write_adapter(tmp_path / "coder", factors(SHAPES, 2, seed=1), r=2)
    write_adapter(tmp_path / "better", factors(SHAPES, 4, seed=2), r=4)
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert run(["adapters", *map(str, arguments)]) == code
    told = capsys.readouterr()
    return told.out if code in (0, 1) else told.err


def data(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    return json.loads(said(capsys, *arguments, "--json", code=code))


def test_from_import_to_production_to_removal(outside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert data(capsys, "import", str(outside / "coder"))["label"] == "coder@1.0.0"
    assert "coder@1.1.0: r 4, 56 parameters, for lab/base" in said(
        capsys, "import", str(outside / "better"), "--name", "coder"
    )
    tagged = data(capsys, "tag", "coder@1.0.0", "production", "candidate", "--domain", "rust", "--why", "the first")
    assert tagged == {
        "label": "coder@1.0.0",
        "aliases": ["candidate", "production"],
        "before": {"production": "", "candidate": ""},
        "tags": ["rust"],
    }
    assert "candidate is no longer coder@1.0.0" in said(capsys, "tag", "coder@1.0.0", "candidate", "--remove")
    assert "production is coder@1.1.0, it was coder@1.0.0" in said(
        capsys, "tag", "coder@1.1.0", "production", "--why", "passes more"
    )
    assert "production is not coder@1.0.0" in said(capsys, "tag", "coder@1.0.0", "production", "--remove", code=2)

    listed = {item["label"]: item for item in data(capsys, "list")}
    assert (listed["coder@1.1.0"]["aliases"], listed["coder@1.0.0"]["tags"]) == (["production"], ["rust"])
    assert [item["label"] for item in data(capsys, "list", "--domain", "rust")] == ["coder@1.0.0"]
    shown = data(capsys, "show", "coder@production")
    assert (shown["label"], shown["r"], shown["damaged"], shown["reports"]) == ("coder@1.1.0", 4, [], [])
    assert "224 B a slot at max-lora-rank 8" in said(capsys, "show", "coder")

    told = [(item["what"], item["why"]) for item in data(capsys, "history", "coder")]
    assert told[:2] == [
        ("production is coder@1.1.0 (was coder@1.0.0)", "passes more"),
        ("candidate was dropped", ""),
    ]
    assert ("coder@1.0.0 was registered", "") in told

    assert "coder@1.1.0 is production" in said(capsys, "remove", "coder@1.1.0", code=2)
    assert said(capsys, "remove", "coder@1.0.0", "--why", "worse") == "removed coder@1.0.0\n"
    assert "coder@1.0.0" not in said(capsys, "list")
    assert "worse" in said(capsys, "list", "--all")
    removed = [item for item in data(capsys, "list", "--all") if item.get("removed")]
    assert [(item["label"], item["why"]) for item in removed] == [("coder@1.0.0", "worse")]


def test_verify_names_each_file_and_exits_with_one(outside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("coder", "better"):
        said(capsys, "import", str(outside / name))
    assert said(capsys, "verify", "--all") == "better@1.0.0: whole\ncoder@1.0.0: whole\n"
    folder = outside / "workspace" / "adapters" / "coder" / "1.0.0"
    folder.chmod(0o755)
    for name in ("metadata.toml", "README.md"):
        (folder / name).chmod(0o644)
    (folder / "metadata.toml").write_text("nonsense")
    (folder / "README.md").unlink()
    findings = data(capsys, "verify", "--all", code=1)
    assert [item["file"] for item in findings[1]["findings"]] == ["README.md", "metadata.toml"]
    assert findings[0] == {"label": "better@1.0.0", "findings": []}
    assert "coder@1.0.0: README.md: it is missing" in said(capsys, "verify", "coder@1.0.0", code=1)
    assert said(capsys, "verify", "better") == "better@1.0.0: whole\n"
    assert run(["adapters", "list"]) == 0
    assert "coder@1.0.0 cannot be read" in capsys.readouterr().err
    assert "coder@1.0.0 cannot be read" in said(capsys, "show", "coder@1.0.0", code=2)
    said(capsys, "remove", "coder@1.0.0", "--why", "damaged")
    assert said(capsys, "verify", "--all") == "better@1.0.0: whole\n"
    assert "which adapter?" in said(capsys, "verify", code=2)


def test_versions_and_folders_are_compared_and_measured(outside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "import", str(outside / "coder"))
    found = data(capsys, "diff", "coder", str(outside / "better"))
    assert {item["key"] for item in found["config"]} == {"r"}
    assert -1 <= found["total"]["cosine"] <= 1
    assert found["total"]["ratio"] > 0
    text = said(capsys, "diff", "coder", str(outside / "better"))
    assert "ΔW of" in text
    assert "layers.0.q_proj" in text
    assert "the weights are the same, byte by byte" in said(capsys, "diff", "coder", str(outside / "coder"))
    held = data(capsys, "memory", "coder", str(outside / "better"), "--max-lora-rank", "16")
    assert (held["max_lora_rank"], held["max_loras"], held["slot"]) == (16, 3, 16 * 2 * 14)
    assert "3 slots of 448 B each" in said(capsys, "memory", "coder", str(outside / "better"), "--max-lora-rank", "16")


def test_reports_that_name_an_adapter_are_shown_with_it(outside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from lora_tui.jobs.journal import Answer, Check
    from lora_tui.verify.reports import files as report_files
    from lora_tui.verify.reports.concluding import Heard, conclude
    from lora_tui.verify.suites.suite import Case, Suite
    from lora_tui.workspace.layout import Workspace

    said(capsys, "import", str(outside / "coder"))
    cases = tuple(Case(description=str(number), prompt=f"p{number}", expectations=()) for number in range(8))
    suite = Suite(name="rust", description="", path=outside, cases=cases)
    heard = Heard.of(
        [
            Answer(prompt=number, side=side, text="x", checks=(Check(expectation="e", passed=side == "tuned"),))
            for number in range(8)
            for side in ("baseline", "tuned")
        ]
    )
    workspace = Workspace(outside / "workspace")
    made = conclude("r1", suite, {"baseline": "base:lab/base", "tuned": "adapter:coder@1.0.0"}, heard)
    report_files.write(made, workspace.reports / "r1")
    sides = {"baseline": "openai:http://127.0.0.1:1/v1#coder@1.0.0", "tuned": "adapter:other@1.0.0"}
    report_files.write(conclude("r2", suite, sides, heard), workspace.reports / "r2")
    shown = {item["id"]: item for item in data(capsys, "show", "coder")["reports"]}
    assert (shown["r1"]["passed"], shown["r1"]["prompts"], shown["r1"]["their_passed"]) == (8, 8, 0)
    assert shown["r1"]["against"] == "base:lab/base"
    assert (shown["r2"]["passed"], shown["r2"]["against"]) == (0, "adapter:other@1.0.0")
    assert "rust: passes 8 of 8, base:lab/base 0 of 8." in said(capsys, "show", "coder")
