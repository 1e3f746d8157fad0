"""Counting the weights of a base and of the adapters on it, without loading any."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from lora_tui.jobs import journal, measured
from lora_tui.jobs.job import Measure
from lora_tui.worker import loading
from lora_tui.worker.arguments import sft_config
from lora_tui.worker.lora import with_lora
from lora_tui.workspace.profiles import Profile


def measure(job: Measure, folder: Path, log: journal.Journal) -> None:
    """Write `job.output`. Raises BadInput for what a run would be refused for."""
    begin = time.monotonic()
    log.write(journal.Started(pid=os.getpid(), host=socket.gethostname(), versions=loading.versions()))
    sft_config(job.profile, folder, loading.device_here(), validation=False)
    parameters, trainable = count_parameters(loading.load_config(job.base), job.profile)
    measured.save(folder / job.output, measured.Measured(parameters=parameters, trainable=trainable))
    log.write(journal.Finished(seconds=time.monotonic() - begin, output=job.output))


def count_parameters(config: Any, profile: Profile) -> tuple[int, int]:
    """Parameters of the base and of the adapters."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
        total = sum(weight.numel() for weight in model.parameters())
        tuned = with_lora(model, profile)
    return total, sum(weight.numel() for weight in tuned.parameters() if weight.requires_grad)
