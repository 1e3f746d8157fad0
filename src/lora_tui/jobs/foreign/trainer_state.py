"""trainer_state.json, as transformers' Trainer writes it into every checkpoint, and at the end where it is asked to.

It bears no times: those of the steps are drawn in between the times at which the checkpoints were written.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from lora_tui.jobs import journal
from lora_tui.jobs.foreign.logged import Told, name_of

NAME = "trainer_state.json"


class TrainerState(msgspec.Struct, frozen=True):
    """What is of use in one of these files; `written` is when it was, in epoch seconds."""

    path: Path
    written: float
    global_step: int
    max_steps: int
    log: tuple[dict[str, Any], ...]
    best_step: int


def files(folder: Path) -> list[Path]:
    """The folder's own and those of its checkpoints."""
    found = [folder / NAME, *folder.glob(f"checkpoint-*/{NAME}")]
    return [path for path in found if path.is_file()]


def load(path: Path) -> TrainerState | None:
    """One file; None when it cannot be read, or not yet."""
    try:
        written = path.stat().st_mtime
        data = json.loads(path.read_text())  # Python's own: Trainer writes NaN, which JSON has not
        step = int(data["global_step"])
        log = tuple(entry for entry in data.get("log_history", ()) if isinstance(entry, dict) and "step" in entry)
        best = 0
        if "checkpoint-" in str(data.get("best_model_checkpoint") or ""):
            with contextlib.suppress(ValueError):
                best = int(str(data["best_model_checkpoint"]).rpartition("checkpoint-")[2])
        return TrainerState(path, written, step, int(data.get("max_steps") or 0), log, best)
    except (OSError, ValueError, KeyError, TypeError):
        return None


class TrainerStates:
    """A Trainer's output folder; each call of `refresh` looks whether there is a newer state."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._loaded: dict[Path, tuple[float, TrainerState | None]] = {}
        self._newest: TrainerState | None = None
        self._entries = 0
        self._checkpoints: set[int] = set()
        self._told = Told()
        self._ended = False

    def refresh(self) -> None:
        """Read what is new or was written again."""
        for path in files(self.folder):
            with contextlib.suppress(OSError):
                written = path.stat().st_mtime
                if self._loaded.get(path, (0.0, None))[0] != written:
                    self._loaded[path] = (written, load(path))
        known = [state for _, state in self._loaded.values() if state is not None]
        self._newest = max(known, key=lambda state: (state.written, state.global_step), default=None)

    @property
    def total(self) -> int:
        """Steps in all; 0 while that is not known."""
        return self._newest.max_steps if self._newest is not None else 0

    def steps(self) -> Iterator[journal.AnyEvent]:
        """Steps, evaluations and the end, those that are new; `started` first, and where it began anew."""
        state = self._newest
        if state is None:
            return
        anchors = self._anchors(state)
        if not self._entries or len(state.log) < self._entries:
            self._entries, self._told, self._ended = 0, Told(), False
            yield journal.Started(pid=0, host="", total_steps=state.max_steps, time=_time_at(0, anchors))
        for entry in state.log[self._entries :]:
            values = {name_of(name): float(value) for name, value in entry.items() if isinstance(value, int | float)}
            step = int(entry["step"])
            yield from self._told.events(step, _time_at(step, anchors), values)
            self._ended = self._ended or "train_runtime" in values
        self._entries = len(state.log)
        if not self._ended and 0 < state.max_steps <= state.global_step:
            self._ended = True
            yield journal.Finished(steps=state.global_step, time=state.written)

    def checkpoints(self) -> Iterator[journal.Checkpoint]:
        """The checkpoints that are new and lie there."""
        if self._newest is None:
            return
        for step, written in self._anchors(self._newest):
            if step and step not in self._checkpoints and (self.folder / f"checkpoint-{step}").is_dir():
                self._checkpoints.add(step)
                best = step == self._newest.best_step
                yield journal.Checkpoint(step=step, path=f"checkpoint-{step}", best=best, time=written)

    def _anchors(self, newest: TrainerState) -> list[tuple[int, float]]:
        """(step, epoch seconds) that are known, rising."""
        known = {state.global_step: state.written for _, state in self._loaded.values() if state is not None}
        known[newest.global_step] = newest.written
        runtime = next((entry["train_runtime"] for entry in newest.log if "train_runtime" in entry), None)
        if runtime is not None:
            known.setdefault(0, newest.written - float(runtime))
        return sorted(known.items())


def _time_at(step: int, anchors: list[tuple[int, float]]) -> float:
    """When a step was made, drawn in between, or on, from the known ones."""
    if len(anchors) == 1:
        return anchors[0][1]
    pairs = list(pairwise(anchors))
    (low, before), (high, after) = next((pair for pair in pairs if step <= pair[1][0]), pairs[-1])
    if step > high:
        return after
    return before + (after - before) * (step - low) / (high - low)
