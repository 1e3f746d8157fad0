"""A profile inherits, and presets and settings are laid over it; a mistake is told where it was made."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import load_profile, profile_paths
from lora_tui.workspace.profiles.keys import keys, words
from lora_tui.workspace.profiles.layers import for_backend
from lora_tui.workspace.profiles.loading import preset_paths
from lora_tui.workspace.profiles.writing import documented, new_profile, settings_layers


def write(workspace: Workspace, name: str, text: str) -> Path:
    path = workspace.profiles / f"{name}.toml"
    path.write_text(f'name = "{name}"\n{text}')
    return path


PARENT = """\
description = "the parent"
[model]
base = "demo"
[lora]
r = 8
lora_alpha = 16
rank_pattern = {q_proj = 4}
[data]
targets = {rust = 3}
"""


def test_a_child_says_only_what_differs(workspace: Workspace) -> None:
    write(workspace, "parent", PARENT)
    write(workspace, "child", 'extends = "parent"\n[lora]\nr = 32\n[data]\ntargets = {ruby = 5}\n')
    write(workspace, "grandchild", 'extends = "./child.toml"\n[lora]\nrank_pattern = {}\n')
    child, grandchild = load_profile(workspace, "child"), load_profile(workspace, "grandchild")
    assert (child.lora.r, child.lora.lora_alpha, child.model.base, child.description) == (32, 16, "demo", "")
    assert child.data.targets == {"rust": 3, "ruby": 5}, "tables merge key by key"
    assert child.lora.rank_pattern == {"q_proj": 4}
    assert (grandchild.name, grandchild.lora.r, grandchild.lora.rank_pattern) == ("grandchild", 32, {})


def test_ones_own_profile_may_extend_the_shipped_one_of_its_name(workspace: Workspace) -> None:
    write(workspace, "tiny", 'extends = "tiny"\n[lora]\nr = 4\n')
    own = load_profile(workspace, "tiny")
    assert (own.lora.r, own.lora.lora_alpha, own.model.base) == (4, 64, "demo")


def test_a_circle_is_an_error_that_shows_it(workspace: Workspace) -> None:
    write(workspace, "a", 'extends = "b"\n')
    write(workspace, "b", 'extends = "a"\n')
    with pytest.raises(BadInput, match="circle: a → b → a") as caught:
        load_profile(workspace, "a")
    assert caught.value.where.endswith("b.toml:2")


def test_a_missing_parent_is_named_with_its_line(workspace: Workspace) -> None:
    path = write(workspace, "child", 'extends = "nobody"\n')
    with pytest.raises(BadInput, match="no profile 'nobody'") as caught:
        load_profile(workspace, "child")
    assert caught.value.where == f"{path}:2"


@pytest.mark.parametrize(
    ("wrong", "message", "fix"),
    [
        ("lora_alfa = 3", "lora.lora_alfa: unknown key", "lora.lora_alpha"),
        ("learning_rate = 3", "lora.learning_rate: unknown key", "training.learning_rate"),
        ('r = "much"', "lora.r: expected `int`, got `str`", ""),
    ],
)
def test_a_mistake_is_told_of_the_file_it_stands_in(workspace: Workspace, wrong: str, message: str, fix: str) -> None:
    parent = write(workspace, "parent", f'[model]\nbase = "demo"\n[lora]\n{wrong}\n')
    write(workspace, "child", 'extends = "parent"\n[lora]\nlora_alpha = 8\n')
    with pytest.raises(BadInput, match=message) as caught:
        load_profile(workspace, "child")
    assert caught.value.where == f"{parent}:5"
    assert fix in caught.value.fix


def test_presets_lie_over_the_profile_and_settings_over_them(workspace: Workspace) -> None:
    assert {"quick", "stable"} <= set(preset_paths(workspace))
    found = load_profile(
        workspace,
        "build-rust",
        presets=("quick",),
        settings=("lora.r=32", "model.base=/some/where", "data.rows.rust=9"),
    )
    assert (found.training.num_train_epochs, found.lora.r, found.model.base) == (1.0, 32, "/some/where")
    assert found.data.rows == {"rust": 9}
    assert found.description.startswith("Rust"), "a preset's description is its own"
    again = load_profile(
        workspace, "build-rust", presets=("quick", "stable"), settings=("training.num_train_epochs=2",)
    )
    assert (again.training.num_train_epochs, again.training.early_stopping_patience) == (2.0, 2)


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("lora.target_modules=q_proj,v_proj", "target_modules", ("q_proj", "v_proj")),
        ('lora.target_modules=["q_proj"]', "target_modules", ("q_proj",)),
        ("lora.target_modules=all-linear", "target_modules", "all-linear"),
        ("lora.init_lora_weights=pissa", "init_lora_weights", "pissa"),
        ("lora.use_dora=true", "use_dora", True),
        ('lora.rank_pattern={"0.q_proj" = 2}', "rank_pattern", {"0.q_proj": 2}),
        ("lora.new_tokens=<a>", "new_tokens", ("<a>",)),
    ],
)
def test_a_setting_is_typed_as_its_key(workspace: Workspace, text: str, key: str, value: object) -> None:
    assert getattr(load_profile(workspace, "tiny", settings=[text]).lora, key) == value


@pytest.mark.parametrize(
    ("text", "message", "fix"),
    [
        ("lora.rr=3", "lora.rr: unknown key", "lora.r"),
        ("r=3", "r: unknown key", "lora.r"),
        ("lora.r=0", "lora.r: .*>= 1.*'0'", ""),
        ("lora.r=many", "lora.r: expected `int`.*'many'", ""),
        ("lora.r.x=1", "lora.r.x: unknown key", "lora.r"),
        ("lora.r", "not a setting", "KEY=VALUE"),
        ("training.engine=jax", "training.engine: ", ""),
    ],
)
def test_a_wrong_setting_is_one_clear_error(workspace: Workspace, text: str, message: str, fix: str) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        load_profile(workspace, "tiny", settings=[text])
    assert text in f"{caught.value.where} {caught.value.what}"
    assert fix in caught.value.fix


def test_a_backend_has_values_of_its_own(workspace: Workspace) -> None:
    gerbil = load_profile(workspace, "gerbil")
    assert gerbil.lora.lora_alpha == 16
    assert for_backend(gerbil, "local") == gerbil
    assert for_backend(gerbil, "together").lora.lora_alpha == 32
    assert load_profile(workspace, "gerbil", backend="together", settings=["lora.lora_alpha=8"]).lora.lora_alpha == 8
    path = write(workspace, "mine", 'extends = "gerbil"\n[backends.together.lora]\nrr = 3\n')
    with pytest.raises(BadInput, match=r"backends\.together\.lora\.rr: unknown key") as caught:
        load_profile(workspace, "mine")
    assert caught.value.where == f"{path}:4"


def test_every_key_has_its_words_and_no_word_is_about_a_key_that_is_gone() -> None:
    assert set(words()) == set(keys())


def test_a_documented_profile_is_a_profile_file_with_words_for_every_key(workspace: Workspace) -> None:
    for name in profile_paths(workspace):
        found = load_profile(workspace, name)
        text = documented(found)
        path = workspace.root / "again.toml"
        path.write_text(text)
        assert load_profile(workspace, str(path)) == found
        plain = " ".join(text.replace("\n# ", " ").split())
        for key, said in words().items():
            assert said in plain or key == "backends", key


def test_a_new_profile_says_only_what_differs_and_is_what_was_asked_for(workspace: Workspace) -> None:
    settings = ["lora.r=32", "lora.lora_alpha=16", "training.num_train_epochs=1"]
    layers = settings_layers(workspace, "build-rust", settings)
    path = new_profile(workspace, "mine", "build-rust", layers, description="my own")
    text = path.read_text()
    assert 'extends = "build-rust"' in text
    assert "lora_alpha" not in text, "as the parent has it"
    assert f"r = 32 # {words()['lora.r']}" in text
    made = load_profile(workspace, "mine")
    assert (made.lora.r, made.lora.lora_alpha, made.training.num_train_epochs) == (32, 16, 1.0)
    assert made.data == load_profile(workspace, "build-rust").data
    with pytest.raises(BadInput, match="there is a profile 'mine' already"):
        new_profile(workspace, "mine", "tiny")
    with pytest.raises(BadInput, match="cannot be the name"):
        new_profile(workspace, "../mine", "tiny")
    assert path.read_text() == text


def test_a_new_profile_may_change_what_one_backend_has(workspace: Workspace) -> None:
    layers = settings_layers(workspace, "gerbil", ["backends.together.lora.r=4", "lora.r=8"])
    new_profile(workspace, "mine", "gerbil", layers)
    made = load_profile(workspace, "mine")
    assert made.lora.r == 8
    assert (for_backend(made, "together").lora.r, for_backend(made, "together").lora.lora_alpha) == (4, 32)
