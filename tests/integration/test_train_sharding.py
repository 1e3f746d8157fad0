"""Where the base is in pieces over several GPUs, and what an adapter looks like that was."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from lora_tui.jobs.job import Train
from lora_tui.jobs.journal import Journal, JournalReader, Warned
from lora_tui.workspace.profiles import Profile

pytestmark = pytest.mark.engine


def test_several_gpus_share_a_base_that_one_cannot_hold(
    tmp_path: Path, small_profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lora_tui.worker import sharding

    log = Journal(tmp_path / "journal.jsonl")

    def job(parallel: str, planned: int = 0) -> Train:
        training = msgspec.structs.replace(small_profile.training, parallel=parallel)
        profile = msgspec.structs.replace(small_profile, training=training)
        return Train(profile=profile, base="x", dataset="y", planned_bytes=planned)

    assert not sharding.wanted(job("fsdp2"), "cuda", log, room=80), "one process has nobody to share with"
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert sharding.wanted(job("fsdp2"), "cuda", log, room=80)
    assert sharding.wanted(job("auto", planned=100), "cuda", log, room=80)
    assert not sharding.wanted(job("auto", planned=60), "cuda", log, room=80)
    assert not sharding.wanted(job("ddp", planned=100), "cuda", log, room=80)
    assert not JournalReader(log.path).read()
    assert not sharding.wanted(job("fsdp2"), "cpu", log)
    (word,) = JournalReader(log.path).read()
    assert isinstance(word, Warned)
    assert "every process holds all of it" in word.message


def test_an_adapter_put_together_from_pieces_is_the_same_file(
    tmp_path: Path, tiny_base: Path, small_profile: Profile
) -> None:
    from lora_tui.worker import loading
    from lora_tui.worker.lora import with_lora
    from lora_tui.worker.saving import save_adapter

    model = with_lora(loading.load_model(str(tiny_base), bf16=False, device="cpu"), small_profile)
    save_adapter(model, str(tiny_base), tmp_path / "whole")
    weights = {name: value.detach().clone() for name, value in model.named_parameters() if value.requires_grad}
    for value in (value for value in model.parameters() if value.requires_grad):
        value.data.zero_()  # what is left here is not what was trained
    save_adapter(model, str(tiny_base), tmp_path / "pieces", weights=weights)
    files = [(tmp_path / name / "adapter_model.safetensors").read_bytes() for name in ("whole", "pieces")]
    assert files[0] == files[1]
