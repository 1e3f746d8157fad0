"""Each shipped profile really trains on a tiny model of its architecture, with its own LoRA and optimizer settings.

Only epochs and length are shortened. The runs are done in this process, one after another, through the real engine.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

import architectures
from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.job import Train
from lora_tui.jobs.view import RunView
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile, load_profile, profile_paths

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]  # a busy machine imports for minutes

STEPS = 3
TASKS = ("coder", "researcher", "security", "architect", "reviewer")
BUILDS = ("build-rust", "build-ts", "build-python", "build-ruby", "build-swift")
CASES = [
    *((name, "qwen2") for name in ("coder-7b-cpu", "gerbil", "hafs-14b", *TASKS)),
    *((name, kind) for kind in ("qwen3", "llama") for name in TASKS),
    *((name, "qwen3-next") for name in BUILDS),
]


@pytest.fixture(scope="module")
def tiny_bases(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Callable[[str], Path]:
    """The folder of a tiny base by its architecture, made when it is first asked for."""
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("bases")
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)

    def base(kind: str) -> Path:
        return folder / kind if (folder / kind).is_dir() else architectures.make_base(kind, folder, tokenizer)

    return base


def shortened(profile: Profile, **training: Any) -> Profile:
    """The profile as it is, for three steps on short rows."""
    changes = {"max_steps": STEPS, "max_length": 256, "gradient_accumulation_steps": 1, "report_to": ()} | training
    return msgspec.structs.replace(profile, training=msgspec.structs.replace(profile.training, **changes))


def trained(workspace: Workspace, profile: Profile, base: Path, dataset: Path) -> Path:
    """Train in this process; returns the folder of the adapter."""
    from lora_tui.worker.requests import Requests
    from lora_tui.worker.train import train

    run = supervisor.create(workspace, Train(profile=profile, base=str(base), dataset=str(dataset)), profile.name)
    log = journal.Journal(run.journal)
    train(run.file.job, run.folder, log, Requests(run.folder))
    log.close()
    last = RunView.of(run).last_word
    assert isinstance(last, journal.Finished)
    assert last.steps == STEPS
    return run.folder / last.output


def logits(model: Any) -> Any:
    import torch

    model.eval()
    with torch.no_grad():
        return model(input_ids=torch.arange(5, 45)[None]).logits.float()


def test_every_shipped_profile_is_among_the_cases(workspace: Workspace) -> None:
    assert {name for name, _ in CASES} | {"tiny"} == set(profile_paths(workspace)), "tiny is trained by the demo's test"


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_shipped_profile_trains_and_its_adapter_is_of_use(
    workspace: Workspace, tiny_bases: Callable[[str], Path], small_dataset: Path, name: str, kind: str
) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    given = load_profile(workspace, name, backend="local")
    profile = shortened(given, warmup_steps=0, warmup_ratio=0.0)  # three steps of a warm-up of 100 would do nothing
    adapter = trained(workspace, profile, tiny_bases(kind), small_dataset)
    base = AutoModelForCausalLM.from_pretrained(tiny_bases(kind), dtype=torch.float32)
    before = logits(base)
    tuned = PeftModel.from_pretrained(base, adapter)
    config = tuned.peft_config["default"]
    assert (config.r, config.lora_alpha, config.lora_dropout) == (
        given.lora.r,
        given.lora.lora_alpha,
        given.lora.lora_dropout,
    )
    assert set(config.target_modules) == set(given.lora.target_modules)
    assert not config.target_parameters
    after = logits(tuned)
    assert (before - after).abs().max() > 1e-4
    if kind != "qwen3-next":
        merged = logits(tuned.merge_and_unload())
        torch.testing.assert_close(merged, after, atol=1e-4, rtol=1e-4)
