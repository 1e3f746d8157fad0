"""Profiles and settings are read strictly, with the place of a mistake."""

from __future__ import annotations

import pytest

from lora_tui.workspace.config import load_config
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import load_profile, profile_paths

GOOD = """\
name = "mine"

[model]
base = "Qwen/Qwen2.5-Coder-7B-Instruct"

[lora]
r = 8
target_modules = ["q_proj", "v_proj"]

[training]
learning_rate = 2e-4
"""


def write(workspace: Workspace, text: str) -> str:
    path = workspace.profiles / "mine.toml"
    path.write_text(text)
    return str(path)


def test_every_shipped_profile_is_valid(workspace: Workspace) -> None:
    names = profile_paths(workspace)
    assert {"tiny", "build-rust", "build-swift"} <= set(names)
    for name in names:
        assert load_profile(workspace, name).name == name


def test_a_profile_of_ones_own_is_found_by_its_name(workspace: Workspace) -> None:
    write(workspace, GOOD)
    profile = load_profile(workspace, "mine")
    assert (profile.lora.r, profile.lora.lora_alpha, profile.training.learning_rate) == (8, 16, 2e-4)


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("r = 8", "rank = 8", 7, "lora.rank: unknown key"),
        ("r = 8", "r = 0", 7, "lora.r: "),
        ('name = "mine"', 'name = "../mine"', 1, "name: "),
        ("learning_rate = 2e-4", 'learning_rate = "high"', 11, "training.learning_rate: "),
        ("[training]", "[trainning]", 10, "trainning: unknown key"),
        ('base = "Qwen/Qwen2.5-Coder-7B-Instruct"', "", 3, "model.base: missing key"),
        ("r = 8", "r = ", 0, "not valid TOML"),
    ],
)
def test_a_mistake_is_refused_with_file_key_and_line(
    workspace: Workspace, old: str, new: str, line: int, message: str
) -> None:
    path = write(workspace, GOOD.replace(old, new))
    with pytest.raises(BadInput, match=message) as caught:
        load_profile(workspace, "mine")
    assert caught.value.where == (f"{path}:{line}" if line else path)


def test_an_unknown_profile_names_the_known_ones(workspace: Workspace) -> None:
    with pytest.raises(BadInput, match="no profile 'rsut'") as caught:
        load_profile(workspace, "rsut")
    assert "build-rust" in caught.value.fix


def test_settings_have_defaults_and_an_unknown_key_is_refused(workspace: Workspace) -> None:
    assert load_config(workspace).theme == "lora-dark"
    workspace.config.write_text('theme = "lora-light"\ntheem = "x"\n')
    with pytest.raises(BadInput, match="theem: unknown key") as caught:
        load_config(workspace)
    assert caught.value.where.endswith(":2")
