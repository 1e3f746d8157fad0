"""A secret that only one message of a session tells apart stands bare in others: it comes out of none of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_tui.cli.main import run
from lora_tui.curation import examples, labels, reading
from lora_tui.curation.filters import Filter
from lora_tui.dataset import versions
from lora_tui.sources.model import About, Message
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Data
from stories import calls, says, store_session, user

BARE = "Zq8vT3" + "kP0wLm5xR7d"


@pytest.fixture
def told(tmp_path: Path) -> Workspace:
    """Three requests with a password; only an output of the second one says that it is one."""
    workspace = Workspace(tmp_path / "workspace")
    workspace.ensure()
    conversation = [
        user(f"Please use {BARE} for the staging login"),
        *calls("edit", {"filePath": f"{BARE}.py", "oldString": "a = 1", "newString": f"a = '{BARE}'"}, "ok"),
        *calls("bash", {"command": f"cd {BARE} && pytest"}, f"1 passed in 0.1s {BARE}", call_id="call_2"),
        user("Now show me the settings file, please"),
        *calls("bash", {"command": "cat .env"}, f"STAGING_PASSWORD={BARE}\n", call_id="call_3"),
        says("There it is."),
        user(f"Thanks, and put {BARE} into the other file"),
        *calls(
            "edit", {"filePath": "b.py", "oldString": "b = 1", "newString": f"b = '{BARE}'"}, "ok", call_id="call_4"
        ),
    ]
    store_session(workspace, "ses_1", conversation, title=f"Use {BARE} for staging")
    examples.refresh(workspace)
    labels.decide(workspace, list(examples.ids(workspace)), "accept", author="ada")
    return workspace


def test_no_command_prints_it(told: Workspace, capfd: pytest.CaptureFixture[str]) -> None:
    shows = [["examples", "show", str(identity)] for identity in examples.ids(told)]
    assert len(shows) == 3
    for command in (["examples", "list"], ["sessions", "list"], ["sessions", "show", "ses_1"], *shows):
        for form in ([], ["--json"]):
            assert run(["--workspace", str(told.root), *command, *form]) == 0
            out, err = capfd.readouterr()
            assert out
            assert BARE not in out + err, command


def test_no_search_finds_it(told: Workspace) -> None:
    assert list(examples.ids(told, Filter(text=BARE))) == []
    assert len(examples.ids(told, Filter(text="staging"))) == 1


@pytest.mark.parametrize("form", [{}, {"shape": "plain"}, {"context": 100_000}], ids=str)
def test_no_dataset_holds_it(told: Workspace, form: dict[str, object]) -> None:
    built = versions.build(told, "all", Data(**form))  # type: ignore[arg-type]
    assert sum(built.manifest.rows.values()) > 0
    assert not [path for path in built.folder.rglob("*") if path.is_file() and BARE in path.read_text(errors="replace")]


def test_an_edit_that_brings_it_back_does_not_show_it(told: Workspace) -> None:
    last = examples.ids(told, Filter(text="other file"))[0]
    labels.edit(told, last, [user("Put it into b.py"), says(f"It is {BARE}.")], author="ada")
    found = reading.example(told, last)
    assert "It is <SECRET:" in str(found.messages)
    assert BARE not in str(found) + str(reading.recorded(told, last))


def test_a_message_that_changes_is_looked_at_again(told: Workspace) -> None:
    """The session was rewritten at its source with another password: the new one is hidden as well."""
    other = BARE[::-1]
    conversation = [
        user("Please show me the settings file"),
        *calls("bash", {"command": "cat .env"}, f"STAGING_PASSWORD={other}\n"),
        says("There it is."),
        Message(role="user", content=f"Thanks, put {other} into the other file", about=About(native_id="again")),
        *calls(
            "edit", {"filePath": "b.py", "oldString": "b = 1", "newString": f"b = '{other}'"}, "ok", call_id="call_4"
        ),
    ]
    store_session(told, "ses_1", conversation, fingerprint="2")
    examples.refresh(told)
    assert len(examples.ids(told)) == 2
    assert not [one for one in examples.ids(told) if other in str(reading.example(told, one))]
