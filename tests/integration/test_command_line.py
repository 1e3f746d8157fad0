"""The command line as a person or a script meets it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lora_tui.curation import examples
from lora_tui.workspace.layout import Workspace
from stories import calls, says, store_session, user


def lora(workspace: Workspace, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lora_tui", "--workspace", str(workspace.root), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def document(workspace: Workspace, *arguments: str) -> object:
    done = lora(workspace, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def filled(workspace: Workspace) -> Workspace:
    for number in range(4):
        edit = calls("edit", {"filePath": f"src/m{number}.rs"}, "ok", call_id=f"call_{number}")
        store_session(workspace, f"ses_{number}", [user(f"Improve the module number {number}"), *edit, says("Done.")])
    examples.refresh(workspace)
    return workspace


def test_from_labels_to_a_dataset_without_the_app(filled: Workspace) -> None:
    listed = document(filled, "examples", "list", "--language", "rust")
    assert [row["language"] for row in listed["examples"]] == ["rust"] * 4
    shown = document(filled, "examples", "show", "1")
    assert shown["evidence"][0]["detail"] == "1 edit of .rs"
    assert shown["messages"][0] == {"role": "user", "content": "Improve the module number 0"}
    assert document(filled, "label", "1", "--reject", "--by", "ana")["ids"] == [1]
    document(filled, "label", "--all-matching", "language=rust decision=unlabelled", "--accept", "--by", "ana")
    assert document(filled, "dataset", "build", "rust", "--language", "rust")["label"] == "rust@1"
    assert document(filled, "dataset", "show", "rust")["damaged"] == []
    assert document(filled, "label", "--undo", "--by", "ana")["ids"] == [2, 3, 4]


def test_every_list_prints_one_json_document_on_an_empty_workspace(workspace: Workspace) -> None:
    for command in ("sessions", "examples", "dataset", "profiles", "runs", "adapters", "reports"):
        document(workspace, command, "list")
    document(workspace, "paths")


@pytest.mark.parametrize(
    ("arguments", "first"),
    [
        (["examples", "show", "77"], "error: there is no example 77"),
        (["label", "1"], "error: say what to decide"),
        (["label", "--accept"], "error: say which examples"),
        (["label", "--all-matching", "colour=red", "--accept"], "error: unknown filter 'colour'"),
        (["label", "--all-matching", " ", "--accept"], "error: the filter is empty"),
        (["label", "--all-matching", "text=++", "--accept"], "error: no example passes this filter"),
        (["label", "--all-matching", "min_confidence=nan", "--accept"], "error: this filter cannot be read"),
        (["label", "1", "--accept", "--reject"], "error: --accept and --reject exclude each other"),
        (["label", "1", "--language", "klingon"], "error: unknown language 'klingon'"),
        (["dataset", "show", "nothing"], "error: there is no dataset 'nothing'"),
        (["dataset", "build", "x", "--split", "a/b"], "error: the split 'a/b' cannot be read"),
        (["train", "tiny", "--dataset", "nothing"], "error: there is no dataset 'nothing'"),
        (["runs", "show", "nothing"], "error: there is no run 'nothing'"),
        (["adapters", "show", "nothing"], "error: there is no adapter 'nothing'"),
        (["verify", "nothing", "--baseline", "base:x", "--tuned", "base:y"], "error: there is no suite 'nothing'"),
        (["verify", "tiny", "--baseline", "ask:x", "--tuned", "base:y"], "error: 'ask' is no kind of endpoint"),
        (["profiles", "show", "nothing"], "error: there is no profile 'nothing'"),
        (["app"], "error: the app needs a terminal"),
        (["nothing"], "error: no such command 'nothing'"),
        (["ingest", "nothing"], "error: no such command 'nothing'"),
        (["ingest", "--dry-run"], "error: say what to read"),
        (["ingest", "--json"], "error: say what to read"),
        (["label", "one", "--accept"], "error: invalid value for '[IDS]...': 'one' is not a number"),
        (["label", "0", "--accept"], "error: invalid value for '[IDS]...': 0 is too small: the least is 1"),
        (["label", "--undo"], "error: "),
        (["label", "import", "nothing.jsonl"], "error: cannot be read"),
        (["label", "export", "-", "--json"], "error: --json and '-' exclude each other"),
        (["examples", "import", "nothing.jsonl"], "error: there is no such file"),
        (["examples", "list", "--limit", "many"], "error: invalid value for '--limit': 'many' is not a number"),
        (["redact", "check"], "error: missing argument 'FILE...'"),
        (["redact", "check", "nothing.txt"], "error: cannot be read"),
        (["mine", "nothing"], "error: no such folder"),
        (["augment"], "error: missing option '--language'"),
    ],
)
def test_bad_input_is_one_clear_error_and_exit_code_2(workspace: Workspace, arguments: list[str], first: str) -> None:
    done = lora(workspace, *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    assert lines[0].startswith(first)
    assert len(lines) <= 2, done.stderr


def test_what_is_called_wrongly_names_its_help_as_a_person_would_call_it(workspace: Workspace) -> None:
    assert lora(workspace, "label", "one", "--accept").stderr.splitlines()[1] == "  See: lora-tui label --help"
    assert lora(workspace, "queue", "--help").stdout == lora(workspace, "queue", "x", "--help").stdout


@pytest.mark.parametrize("group", ["ingest", "capture", "sessions", "examples", "label", "queue", "dedupe", "redact"])
def test_the_help_of_a_group_says_whole_sentences(workspace: Workspace, group: str) -> None:
    commands = lora(workspace, group, "--help").stdout.partition("Commands:")[2]
    assert commands
    assert "..." not in commands


def test_labels_are_exported_to_standard_output_too(
    filled: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert lora(filled, "label", "1", "--accept").returncode == 0
    done = lora(filled, "label", "export", "-")
    assert [json.loads(line)["action"] for line in done.stdout.splitlines()] == ["accept"]
    assert "1 labels written" not in done.stdout
    assert list(tmp_path.glob("-")) == []


def test_a_machine_without_histories_is_told_what_to_do(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_DATA_HOME", "CODEX_HOME", "CLAUDE_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    done = lora(workspace, "ingest", "--all", "--dry-run")
    assert done.returncode == 0
    assert "No agent's history was found on this machine." in done.stdout
    assert "lora-tui ingest --path PATH" in done.stdout
    assert lora(workspace, "examples", "list").stdout.startswith("no examples yet: lora-tui ingest --all")


def test_an_unknown_option_is_refused_and_exit_code_2(workspace: Workspace) -> None:
    assert lora(workspace, "examples", "list", "--langauge", "rust").returncode == 2


def test_a_reader_that_goes_away_is_no_error(filled: Workspace) -> None:
    command = f"{sys.executable} -m lora_tui --workspace {filled.root} examples list | head -1"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr


def test_the_workspace_comes_from_the_environment_too(filled: Workspace, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lora_tui", "paths", "--json"],
        capture_output=True,
        text=True,
        env=os.environ | {"LORA_TUI_WORKSPACE": str(tmp_path / "elsewhere")},
        check=True,
    )
    assert json.loads(done.stdout)["workspace"] == str(tmp_path / "elsewhere")


def test_completion_knows_the_commands(workspace: Workspace) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lora_tui"],
        capture_output=True,
        text=True,
        env=os.environ | {"_LORA_TUI_COMPLETE": "bash_complete", "COMP_WORDS": "lora-tui ad", "COMP_CWORD": "1"},
        check=False,
    )
    assert "plain,adapters" in done.stdout
