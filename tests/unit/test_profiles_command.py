"""`lora-tui profiles` and the options that lay something over a profile, as a person types them."""

from __future__ import annotations

import json
import tomllib

import pytest

from lora_tui.cli.main import run
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import load_profile, profile_paths


def typed(workspace: Workspace, *arguments: str) -> int:
    return run(["--workspace", str(workspace.root), *arguments])


def test_list_names_every_profile_and_preset_and_one_that_is_damaged(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    (workspace.profiles / "broken.toml").write_text('name = "broken"\n')
    assert typed(workspace, "profiles", "list") == 0
    said = capsys.readouterr().out
    for name in (*profile_paths(workspace), "quick", "stable"):
        assert name in said
    assert "model: missing key" in said
    assert "parents" not in said
    assert typed(workspace, "profiles", "list", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert {item["name"] for item in found} == set(profile_paths(workspace))


def test_show_prints_a_profile_with_what_is_laid_over_it(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(workspace, "profiles", "show", "build-ts", "--preset", "quick", "--set", "lora.r=4") == 0
    said = tomllib.loads(capsys.readouterr().out)
    assert (said["lora"]["r"], said["training"]["num_train_epochs"], said["data"]["languages"]) == (
        4,
        1,
        ["typescript"],
    )


def test_new_writes_and_prints_a_profile_that_show_and_check_take(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(workspace, "profiles", "new", "mine", "--from", "gerbil", "--set", "lora.r=4", "--json") == 0
    path = json.loads(capsys.readouterr().out)["path"]
    assert load_profile(workspace, path).lora.r == 4
    assert typed(workspace, "profiles", "check", "mine") == 0
    assert "what will be trained" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["plan", "train", "audit"])
@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--set", "lora.rank=3", "lora.rank: unknown key"),
        ("--set", "lora.r=-1", "lora.r: "),
        ("--preset", "slow", "there is no preset 'slow'"),
        ("--set", "lora.target_modules=lm_head", "TRL trains no adapter on lm_head"),
    ],
)
def test_what_cannot_be_laid_over_a_profile_is_one_clear_error(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], command: str, option: str, value: str, words: str
) -> None:
    start = (
        ["dataset", "audit", "x", "--profile", "tiny"] if command == "audit" else [command, "tiny", "--dataset", "x"]
    )
    assert typed(workspace, *start, option, value) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.startswith("error: ")
