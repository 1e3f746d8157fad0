"""What a run reports beside its journal, and that the same seed makes the same run."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from lora_tui.jobs import journal
from lora_tui.jobs.job import Prompt
from lora_tui.jobs.supervisor import Run
from lora_tui.worker.__main__ import main
from lora_tui.workspace.profiles import Profile, Training

pytestmark = pytest.mark.engine


@pytest.fixture
def short(small_profile: Profile) -> Callable[..., Profile]:
    """The small profile for three steps, with dropout."""

    def make(**changes: object) -> Profile:
        training: Training = msgspec.structs.replace(small_profile.training, max_steps=3, eval_steps=2, **changes)
        return msgspec.structs.replace(small_profile, training=training)

    return make


def done(run: Run) -> list[journal.AnyEvent]:
    """Do the run in this process; its events."""
    code = main([str(run.folder / "job.toml")])
    events = journal.JournalReader(run.journal).read()
    assert code == 0, events[-1]
    return events


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Every scalar of TensorBoard's event files, read as TensorFlow frames them: length, crc, message, crc."""
    from tensorboardX.proto.event_pb2 import Event

    found: dict[str, list[tuple[int, float]]] = {}
    for path in sorted(folder.glob("events.out.tfevents.*")):
        data, at = path.read_bytes(), 0
        while at < len(data):
            (size,) = struct.unpack_from("<Q", data, at)
            event = Event.FromString(data[at + 12 : at + 12 + size])
            at += 16 + size
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def test_tensorboard_shows_what_the_journal_says(new_run: Callable[..., Run], short: Callable[..., Profile]) -> None:
    prompts = (Prompt(prompt="Hello!", expectations=(("contains", "e"), ("contains", "never said"))),)
    run = new_run(profile=short(report_to=("tensorboard", "wandb", "mlflow")), samples=prompts)
    events = done(run)
    shown = scalars(run.folder / "tensorboard")
    metrics = [event for event in events if isinstance(event, journal.Metrics)]
    for tag, key in (("loss", "loss"), ("learning_rate", "learning_rate"), ("grad_norm", "grad_norm")):
        told = [(event.step, pytest.approx(getattr(event, key), rel=1e-6)) for event in metrics]
        assert shown[f"train/{tag}"] == told
    assert [step for step, _ in shown["train/tokens_per_second"]] == [1, 2, 3]
    evaluations = [event for event in events if isinstance(event, journal.Evaluation)]
    assert shown["eval/loss"] == [(event.step, pytest.approx(event.eval_loss, rel=1e-6)) for event in evaluations]
    rates = dict(shown["suite/pass_rate"])
    assert set(rates) >= {event.step for event in evaluations}
    assert all(rate in (0.0, 0.5) for rate in rates.values())
    missing = [event for event in events if isinstance(event, journal.Warned) and event.code == "report"]
    assert {event.advice for event in missing} == {"pip install wandb", "pip install mlflow"}


def test_the_same_seed_makes_the_same_adapter_to_the_last_bit(
    new_run: Callable[..., Run], short: Callable[..., Profile]
) -> None:
    runs = [new_run(profile=short(report_to=(), seed=seed)) for seed in (7, 7, 8)]
    for run in runs:
        done(run)
    first, again, other = [(run.folder / "adapter" / "adapter_model.safetensors").read_bytes() for run in runs]
    assert first == again
    assert first != other


def test_the_machine_is_watched_core_by_core(new_run: Callable[..., Run]) -> None:
    from lora_tui.worker.hardware import Look

    run = new_run()
    seen = Look(run.folder)()
    assert len(seen.cores) == os.cpu_count()
    assert 0 <= seen.cpu <= 100
    assert seen.disk_free > 0
    assert 0 < seen.process_rss < seen.ram_total
