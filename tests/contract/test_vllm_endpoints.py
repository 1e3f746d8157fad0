"""A true vLLM, of the environment in $VLLM_PYTHON (`make vllm` builds one), asked as a verification does."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from asking_endpoints import asked, endpoint
from lora_tui.adapters.serving import sets
from lora_tui.verify.asking import EndpointFault
from lora_tui.verify.endpoints import Patience, opened
from lora_tui.workspace.layout import Workspace
from serving_sets import register, serving
from tiny_models import LONGEST, PROMPTS, TinyModels

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not os.environ.get("VLLM_PYTHON"), reason="$VLLM_PYTHON names no environment with vLLM"),
    pytest.mark.timeout(1200),
]
LABELS = {"coder@1.0.0": "a", "writer@1.0.0": "b"}


@pytest.fixture
def one(workspace: Workspace, tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch) -> Iterator[sets.Served]:
    """vLLM with both adapters."""
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    for label, which in LABELS.items():
        register(workspace, tiny_models, which, name=label.partition("@")[0])
    time.sleep(1)  # vLLM, which starts now, has what the files hold
    options = ("--dtype", "float32")
    with serving(workspace, tiny_models.base, list(LABELS), "vllm", options=options, context=512, parallel=4) as found:
        yield found


async def test_adapters_and_base_answer_as_they_do_in_every_engine_and_what_is_wrong_is_named(
    workspace: Workspace, tiny_models: TinyModels, one: sets.Served, tmp_path: Path
) -> None:
    """One start of vLLM for all of it: it takes a minute."""
    log = (one.folder / "logs" / "vllm.log").read_text()
    address = re.findall(r"http://127\.0\.0\.1:\d+", log)[-1]
    sides = {**LABELS, "tiny": "base"}
    names = [f"vllm:{address}#{name}" for name in sides]
    async with opened(workspace, names, tmp_path, patience=Patience()) as found:
        identities = [await side.identify() for side in found]
        assert all(one.engine == "vllm" and one.version and one.pid for one in identities)
        assert len({one.digest for one in identities} - {""}) == 3
        assert identities[-1].notes == ()  # it was started with a slot more than there are adapters
        for side, which in zip(found, sides.values(), strict=True):
            said = [await asked(side, prompt, max_tokens=LONGEST) for prompt in PROMPTS]
            assert [text.strip() for text, _ in said] == [tiny_models.golden[which][prompt] for prompt in PROMPTS]
            assert all(end.stopped and end.prompt_tokens and not end.counted for _, end in said)
        turns = [(side, which) for side, which in zip(found, sides.values(), strict=True)] * 8
        mixed = await asyncio.gather(*(asked(side, max_tokens=LONGEST) for side, _ in turns))
        assert [text.strip() for text, _ in mixed] == [tiny_models.golden[which]["Hello"] for _, which in turns]
    async with endpoint(workspace, f"openai:{address}/v1#coder@1.0.0", Patience()) as side:
        assert (await side.identify()).engine == "vllm"
        with pytest.raises(EndpointFault, match="maximum context length is 512") as caught:
            await asked(side, "word " * 3000)
        assert (caught.value.code, caught.value.again) == ("refused", False)
    async with endpoint(workspace, f"vllm:{address}#nobody", Patience()) as side:
        with pytest.raises(EndpointFault, match="does not serve nobody") as caught:
            await side.identify()
        assert caught.value.code == "wrong-model"
