"""How vLLM is started, told of versions and started again; without a model, by a program that speaks as it does."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapter_folders import delta, factors, write_adapter
from lora_tui.adapters import registry, tags
from lora_tui.adapters.registry import Adapter, Metadata
from lora_tui.adapters.serving import blank, sets, specialists, status
from lora_tui.adapters.serving.promote import promote
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace
from serving_sets import chat, said, serving, until

MODULE = "model.layers.0.self_attn.q_proj"
PROGRAM = Path(__file__).parents[1] / "fakes" / "vllm_program.py"


def register(workspace: Workspace, label: str, r: int = 8, base: str = "some/base", **config: Any) -> Adapter:
    """A version with random weights."""
    name, _, version = label.partition("@")

    def fill(draft: Path) -> None:
        shutil.rmtree(draft)
        write_adapter(draft, factors({MODULE: (32, 24)}, r), r=r, **config)

    return registry.add(workspace, Metadata(name=name, version=version, base=base), fill)


@pytest.fixture
def starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file with what each start of vLLM was given."""
    program = tmp_path / "vllm"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {PROGRAM} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("VLLM_PYTHON", raising=False)
    monkeypatch.setenv("FAKE_VLLM_LOG", str(tmp_path / "starts"))
    return tmp_path / "starts"


@pytest.fixture
def one(workspace: Workspace, starts: Path) -> Iterator[sets.Served]:
    """Two adapters of ranks 4 and 12 at vLLM."""
    register(workspace, "coder@1.0.0", 12)
    register(workspace, "writer@1.0.0", 4)
    with serving(workspace, Path("some/base"), ["coder", "writer"], "vllm", context=512) as found:
        yield found


def started(starts: Path) -> list[dict[str, Any]]:
    """What each start was given."""
    return [json.loads(line) for line in starts.read_text().splitlines()]


def test_vllm_gets_room_for_versions_to_come_and_comes_back_with_those_that_came(
    workspace: Workspace, starts: Path, one: sets.Served
) -> None:
    [given] = started(starts)
    assert given["may_load"]
    assert (given["max_lora_rank"], given["max_model_len"]) == (16, 512)
    assert given["max_loras"] == given["max_cpu_loras"] == 2 * 3 + 1  # three versions of each, and one slot empty
    assert given["host"] == "127.0.0.1"
    modules = {module["name"] for module in given["lora_modules"]}
    assert {"coder@1.0.0", "writer@1.0.0"} <= modules
    assert said(chat(one, "coder")) == "I am coder@1.0.0."
    on_cpu = blank.NAME in modules
    assert said(chat(one, "tiny")) == f"I am {blank.NAME if on_cpu else 'tiny'}."

    for version in ("1.1.0", "1.2.0"):
        register(workspace, f"coder@{version}", 12)
        promote(workspace, f"coder@{version}")
        assert said(chat(one, "coder")) == f"I am coder@{version}."
    until(lambda: chat(one, "coder@1.0.0").status_code == 404)  # older than the standby
    assert said(chat(one, "coder@1.1.0")) == "I am coder@1.1.0."

    [part] = status.of(one).parts
    assert part.pid is not None
    os.kill(part.pid, signal.SIGKILL)
    until(lambda: len(started(starts)) == 2)
    until(lambda: status.of(one).parts[0].state == "ready")
    modules = {module["name"] for module in started(starts)[1]["lora_modules"]} - {blank.NAME}
    assert modules == {"coder@1.1.0", "coder@1.2.0", "writer@1.0.0"}
    assert said(chat(one, "coder")) == "I am coder@1.2.0."
    assert status.of(one).parts[0].restarts == 1


@pytest.mark.parametrize(
    ("label", "r", "config", "reason"),
    [
        ("coder@2.0.0", 24, {}, "has r 24, and this server was started for at most 16"),
        ("coder@2.0.0", 8, {"use_dora": True}, "use_dora"),
        ("coder@2.0.0", 8, {"modules_to_save": ["lm_head"]}, "modules_to_save"),
    ],
)
def test_what_vllm_refuses_is_refused_before_it_is_asked(
    workspace: Workspace, one: sets.Served, label: str, r: int, config: dict[str, Any], reason: str
) -> None:
    register(workspace, label, r, **config)
    with pytest.raises(LoraTuiError, match=reason):
        promote(workspace, label)
    assert said(chat(one, "coder")) == "I am coder@1.0.0."


def test_the_reason_of_vllm_is_told(workspace: Workspace, starts: Path) -> None:
    register(workspace, "refused@1.0.0")
    with serving(workspace, Path("some/base"), ["refused"], "vllm") as one:
        register(workspace, "refused@1.1.0")
        with pytest.raises(LoraTuiError, match=r"vLLM does not load refused@1\.1\.0: .*vLLM does not like it"):
            promote(workspace, "refused@1.1.0")
        assert said(chat(one, "refused")) == "I am refused@1.0.0."


def test_a_version_of_another_base_is_not_promoted_without_force(workspace: Workspace, one: sets.Served) -> None:
    register(workspace, "coder@2.0.0", base="another/model")
    with pytest.raises(LoraTuiError, match="it was trained on another/model, and set serves some/base"):
        promote(workspace, "coder@2.0.0")
    assert promote(workspace, "coder@2.0.0", force=True).version == "coder@2.0.0"


def test_the_blank_adapter_changes_nothing(workspace: Workspace, tmp_path: Path) -> None:
    made = register(workspace, "coder@1.0.0")
    blank.write(tmp_path / "blank", made.folder)
    assert delta(tmp_path / "blank", MODULE, 1.0).abs().max() == 0
    assert delta(tmp_path / "blank", MODULE, 1.0).shape == (32, 24)


def test_a_specialist_is_known_by_what_was_said_its_tags_its_profile_and_its_name(workspace: Workspace) -> None:
    for name in ("build-rust", "helper", "build-swift", "plain", "mine"):
        register(workspace, f"{name}@1.0.0")
    tagged = registry.find(workspace, "helper")
    tags.retag(workspace, tagged, add=["go", "tokio"])
    labels = [f"{name}@1.0.0" for name in ("build-rust", "helper", "build-swift", "plain", "mine")]
    found = specialists.specialists(workspace, labels, {"py": "mine"})
    assert found == {"rust": "build-rust", "go": "helper", "swift": "build-swift", "python": "mine"}
