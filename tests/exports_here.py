"""Exports in the test's own process: what transformers says is asked here, without the seconds a process takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from lora_tui.adapters.exporting import source
from lora_tui.adapters.exporting.__main__ import export
from lora_tui.adapters.exporting.making import Made
from lora_tui.adapters.exporting.work import Work
from lora_tui.jobs import journal
from lora_tui.jobs.job import Export
from lora_tui.jobs.reference import Asked, Said

Exporter = Callable[[Export], Made]
_said: dict[bytes, Said] = {}


def exporter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Exporter:
    """A function that does an export's job, as its process would."""
    monkeypatch.setattr(source, "say", _say)
    runs = tmp_path / "runs"
    count = 0

    def do(job: Export) -> Made:
        nonlocal count
        count += 1
        folder = runs / f"run-{count}"
        folder.mkdir(parents=True)
        log = journal.Journal(folder / "journal.jsonl")
        try:
            return export(Work(folder, log), job)
        finally:
            log.close()

    return do


def _say(work: Work, wanted: Asked, name: str) -> Said:
    """The real words of transformers, kept for what is asked twice."""
    from lora_tui.worker import reference

    key = msgspec.json.encode(wanted)
    if name != source.SOURCE:
        return reference.say(wanted)
    if key not in _said:
        _said[key] = reference.say(wanted)
    return _said[key]
