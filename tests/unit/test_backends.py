"""What is refused before a run starts."""

from __future__ import annotations

import importlib.util

import pytest

from lora_tui.backends import bases, local
from lora_tui.dataset.model import Dataset
from lora_tui.jobs import supervisor
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Model, Profile, load_profile


def test_an_optimizer_that_is_not_installed_is_refused_before_anything_is_loaded(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    nothing = Dataset(folder=workspace.root, manifest=None)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="adamw_8bit needs bitsandbytes") as caught:
        local.train(workspace, load_profile(workspace, "build-rust"), nothing)
    assert "lora-tui[quant]" in caught.value.fix
    assert supervisor.runs(workspace) == []


@pytest.mark.parametrize(
    ("base", "message"),
    [("demo", "has not been made yet"), ("./nothing", "holds no model"), ("/no/where", "holds no model")],
)
def test_a_base_that_is_no_model_is_refused(workspace: Workspace, base: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        bases.resolve(workspace, Profile(name="x", model=Model(base=base)))


def test_a_name_from_the_hub_is_left_to_the_engine(workspace: Workspace) -> None:
    profile = Profile(name="x", model=Model(base="Qwen/Qwen2.5-Coder-7B-Instruct"))
    assert bases.resolve(workspace, profile) == "Qwen/Qwen2.5-Coder-7B-Instruct"
