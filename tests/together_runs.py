"""Runs at the fake Together: a small dataset in a workspace, the run of it, and waiting for its conductor."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from fakes.together import KEY, FakeTogether, together_server
from lora_tui.backends import local
from lora_tui.dataset import importing
from lora_tui.dataset.model import Dataset
from lora_tui.jobs import supervisor
from lora_tui.jobs.job import Together, Train
from lora_tui.jobs.journal import AnyEvent, Journal, JournalReader, Remote, Starting
from lora_tui.jobs.supervisor import Run
from lora_tui.jobs.view import RunView
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Lora, Model, Profile, Training

PROFILE = Profile(
    name="small",
    model=Model(base="Qwen/Qwen2.5-Coder-7B-Instruct"),
    lora=Lora(r=8, lora_alpha=16),
    training=Training(num_train_epochs=3, per_device_train_batch_size=8, gradient_accumulation_steps=1, packing=True),
)


@contextmanager
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTogether]:
    """The fake, with the environment that leads to it."""
    with together_server() as fake:
        monkeypatch.setenv("TOGETHER_API_KEY", KEY)
        monkeypatch.setenv("TOGETHER_BASE_URL", f"{fake.url}/v1")  # as users of the SDK's second release have it
        monkeypatch.setenv("LORA_TUI_POLL_SECONDS", "0.002")
        monkeypatch.delenv("TOGETHER_PROJECT_ID", raising=False)
        monkeypatch.setattr("together._base_client.INITIAL_RETRY_DELAY", 0.01)  # in this process
        yield fake


def dataset_of(workspace: Workspace, tmp_path: Path, *, validation: bool = True) -> Dataset:
    """A version with twenty short conversations to train on and four to validate on."""
    splits = {"train": range(20), "validation": range(20, 24)} if validation else {"train": range(20)}
    for split, numbers in splits.items():
        path = tmp_path / "rows" / f"{split}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(json.dumps({"messages": _said(number)}) + "\n" for number in numbers))
    return importing.import_(workspace, tmp_path / "rows", name="small").dataset


def _said(number: int) -> list[dict[str, str]]:
    word = f"{number:05b}".translate({48: "la", 49: "do"})
    return [{"role": "user", "content": f"Sing {word}."}, {"role": "assistant", "content": f"{word} {word}"}]


def run_of(workspace: Workspace, dataset: Dataset, profile: Profile = PROFILE, **asked: Any) -> Run:
    """A run at Together as `prepare` makes it, not started."""
    identity = supervisor.new_identity("train")
    model = {"model": "Qwen/Qwen2.5-7B-Instruct", "from_hf_model": profile.model.base}
    there = Together(**{**model, "n_evals": 3, "n_checkpoints": 3, "suffix": identity, **asked})
    job = Train(
        profile=profile,
        base=profile.model.base,
        dataset=str(dataset.folder),
        dataset_name=dataset.label,
        dataset_hash=dataset.manifest.hash,
        elsewhere=there,
    )
    return local.created(workspace, job, [], identity=identity)


def conducted(run: Run) -> RunView:
    """Do in this process what the run's conductor would do."""
    from lora_tui.backends.together.__main__ import main

    lock = os.open(run.folder / "lock", os.O_RDWR | os.O_CREAT)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    os.environ[supervisor.LOCKED] = str(lock)
    try:
        log = Journal(run.journal)
        log.write(Starting())
        log.close()
        main([str(run.folder / "job.toml")])
    finally:
        del os.environ[supervisor.LOCKED]
        os.close(lock)
        for number, handler in before.items():
            signal.signal(number, handler)
    return RunView.of(run)


def conducted_in_a_fork(run: Run) -> BaseProcess:
    """The same in a process that can be killed."""
    process = multiprocessing.get_context("fork").Process(target=conducted, args=(run,), daemon=True)
    process.start()
    return process


def done(run: Run, seconds: float = 60) -> RunView:
    """Start the run and wait for its conductor."""
    supervisor.start(run)
    assert supervisor.wait(run, seconds), "it still works"
    return RunView.of(run)


def events(run: Run) -> list[AnyEvent]:
    """The run's journal."""
    return JournalReader(run.journal).read()


def lies_there(run: Run) -> dict[str, str]:
    """What the journal says lies with Together: kind -> id."""
    return {event.kind: event.id for event in events(run) if isinstance(event, Remote) and not event.gone}


def until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until it holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.005)


def at_step(fake: FakeTogether, job: str, step: int) -> None:
    """Wait until this job there has come to a step, which it is held at."""
    until(lambda: job in fake.jobs.jobs and fake.jobs.jobs[job].step == step)
