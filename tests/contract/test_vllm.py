"""A true vLLM, of the environment in $VLLM_PYTHON (`make vllm` builds one): versions change under forty clients."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapter_folders import factors, write_adapter
from hot_swap import assert_nobody_noticed, changed_under_load
from lora_tui.adapters import registry
from lora_tui.adapters.registry import Metadata
from lora_tui.adapters.serving import sets, status
from lora_tui.adapters.serving.promote import promote
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace
from serving_sets import chat, register, said, serving
from tiny_models import PROMPTS, SAYS, TinyModels

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not os.environ.get("VLLM_PYTHON"), reason="$VLLM_PYTHON names no environment with vLLM"),
    pytest.mark.timeout(1200),
]
CLIENTS = 40
LABELS = [f"coder@1.{number}.0" for number in range(6)]


@pytest.fixture
def one(workspace: Workspace, tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch) -> Iterator[sets.Served]:
    """vLLM with the first of six versions that answer in turn as the adapters "a" and "b"."""
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    for number, label in enumerate(LABELS):
        register(workspace, tiny_models, "ab"[number % 2], version=label.partition("@")[2])
    options = ("--dtype", "float32")
    with serving(
        workspace, tiny_models.base, ["coder@1.0.0"], "vllm", options=options, context=512, parallel=8
    ) as found:
        yield found


async def test_versions_change_under_forty_clients_and_the_base_stays_itself(
    workspace: Workspace, tiny_models: TinyModels, one: sets.Served
) -> None:
    """One start of vLLM for all of it: it takes a minute."""
    for prompt in PROMPTS:
        assert said(chat(one, "coder", prompt)) == SAYS["a"]
        assert said(chat(one, "tiny", prompt)) == tiny_models.golden["base"][prompt]
    before = status.of(one).requests

    story = await changed_under_load(workspace, one, "coder", CLIENTS)

    assert len(story.answers) > CLIENTS
    assert_nobody_noticed(story, {label: SAYS["ab"[number % 2]] for number, label in enumerate(LABELS)})
    assert status.of(one).requests == before + len(story.answers)
    assert_base_is_itself_beside_adapters(tiny_models, one)
    assert_refusals(workspace, tiny_models, one)


def assert_base_is_itself_beside_adapters(tiny_models: TinyModels, one: sets.Served) -> None:
    """Asked at the same time as an adapter, after more versions than vLLM has slots."""
    wrong: list[str] = []

    def ask(model: str, right: str) -> None:
        for _ in range(8):
            found = said(chat(one, model))
            if found != right:
                wrong.append(f"{model}: {found}")

    wanted = [("tiny", tiny_models.golden["base"]["Hello"]), ("coder", SAYS["a"])] * 3
    threads = [threading.Thread(target=ask, args=pair) for pair in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def assert_refusals(workspace: Workspace, tiny_models: TinyModels, one: sets.Served) -> None:
    """An adapter wider than vLLM was started for is refused before vLLM is asked, and nothing changes."""

    def fill(draft: Path) -> None:
        shutil.rmtree(draft)
        write_adapter(draft, factors({"model.layers.0.self_attn.q_proj": (128, 128)}, 16), r=16)

    registry.add(workspace, Metadata(name="coder", version="2.0.0", base=str(tiny_models.base)), fill)
    with pytest.raises(LoraTuiError, match="has r 16, and this server was started for at most 8"):
        promote(workspace, "coder@2.0.0")
    assert said(chat(one, "coder")) == SAYS["a"]
