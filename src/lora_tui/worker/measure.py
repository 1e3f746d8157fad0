"""Counting the weights of a base and of the adapters on it, without loading any."""

from __future__ import annotations

import os
import re
import socket
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import torch
from transformers import AutoModelForCausalLM

from lora_tui.jobs import journal, measured
from lora_tui.jobs.job import Measure
from lora_tui.jobs.measured import Measured, Module
from lora_tui.worker import loading
from lora_tui.worker.arguments import sft_config
from lora_tui.worker.lora import with_lora, without_beginning
from lora_tui.worker.peak import peak_bytes
from lora_tui.workspace.profiles import Profile


def measure(job: Measure, folder: Path, log: journal.Journal) -> None:
    """Write `job.output`. Raises BadInput for what a run would be refused for."""
    begin = time.monotonic()
    log.write(journal.Started(pid=os.getpid(), host=socket.gethostname(), versions=loading.versions()))
    sft_config(job.profile, folder, loading.device_here(), validation=False)
    found = count(loading.load_config(job.base), job.profile)
    measured.save(folder / job.output, msgspec.structs.replace(found, engine=peak_bytes("cpu")))
    log.write(journal.Finished(seconds=time.monotonic() - begin, output=job.output))


def count(config: Any, profile: Profile) -> Measured:
    """Weights of the base and of what is trained on it, by kind of module."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
        total = sum(weight.numel() for weight in model.parameters())
        tuned = with_lora(model, without_beginning(profile), range(len(profile.lora.new_tokens)))
    trained = [(name, weight.numel()) for name, weight in tuned.named_parameters() if weight.requires_grad]
    return Measured(parameters=total, trainable=sum(number for _, number in trained), modules=table(trained))


def table(trained: Iterable[tuple[str, int]]) -> tuple[Module, ...]:
    """What is trained by kind of module, from the names PEFT gives its weights and how many values each has."""
    weights: Counter[tuple[str, bool]] = Counter()
    places: defaultdict[tuple[str, bool], set[str]] = defaultdict(set)
    for name, number in trained:
        module, adapter, _ = name.partition(".lora_")
        path = module if adapter else name.rpartition(".")[0]
        path = _WRAPPING.sub("", path)
        kind = _NUMBER.sub(".", path).lstrip(".")
        weights[kind, not adapter] += number
        places[kind, not adapter].add(path)
    return tuple(
        Module(
            name=kind,
            count=len(places[kind, whole]),
            parameters=number,
            routed="experts" in kind.split("."),
            whole=whole,
        )
        for (kind, whole), number in weights.items()
    )


_WRAPPING = re.compile(r"^base_model\.model\.(model\.(layers\.)?)?|\.base_layer|\.modules_to_save\.default")
_NUMBER = re.compile(r"^\d+\.|\.\d+\.")
