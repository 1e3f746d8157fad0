"""What waits at each stage of the pipeline, read from the workspace in one go."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from lora_tui.adapters import aliases, registry
from lora_tui.adapters.registry import Adapter
from lora_tui.curation import examples
from lora_tui.dataset import versions
from lora_tui.jobs import supervisor
from lora_tui.jobs.job import Train
from lora_tui.jobs.view import RunView
from lora_tui.verify.reports.report import BASELINE, TUNED, Report, reports
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace


class LanguageCount(msgspec.Struct, frozen=True):
    """One language's candidates."""

    language: str
    total: int
    accepted: int
    unlabelled: int


class DatasetLine(msgspec.Struct, frozen=True):
    """The newest dataset version."""

    label: str
    rows: dict[str, int]
    created: float
    languages: tuple[str, ...]


class RunLine(msgspec.Struct, frozen=True):
    """The newest training run."""

    id: str
    title: str
    state: str
    step: int
    total_steps: int
    loss: float | None
    dataset: str
    created: float


class ReportLine(msgspec.Struct, frozen=True):
    """The newest comparison."""

    tuned_name: str
    answers: int  # of the fine-tune that were judged
    baseline: int  # answers that passed
    tuned: int
    created: float
    failing: int = 0  # prompts that not every answer of the fine-tune passes
    good: str = ""  # what speaks for the fine-tune, as people read it; empty: nothing that is proven


class Overview(msgspec.Struct, frozen=True):
    """The whole pipeline at one moment."""

    sessions: int = 0
    examples: int = 0
    dropped: int = 0
    unlabelled: int = 0
    accepted: int = 0
    rejected: int = 0
    languages: tuple[LanguageCount, ...] = ()
    datasets: int = 0
    dataset: DatasetLine | None = None
    runs: int = 0
    running: int = 0
    run: RunLine | None = None
    adapters: tuple[str, ...] = ()  # labels, newest first
    production: tuple[str, ...] = ()  # labels of those that their names mean
    unverified_merge: str = ""  # the newest adapter, where it was merged and never compared
    reports: int = 0
    report: ReportLine | None = None
    accepted_since: int = 0  # accepted after the newest dataset was built


def read(workspace: Workspace) -> Overview:
    """Count everything; about 50 ms for 100,000 examples."""
    connection = workspace.connection()
    counts = examples.counts(workspace)
    datasets = versions.versions(workspace)
    newest = datasets[0].manifest if datasets else None
    since = 0
    if newest is not None:
        since = connection.execute(
            "SELECT count(DISTINCT example_id) FROM label JOIN example ON example.id = example_id "
            "WHERE action = 'accept' AND decision = 'accept' AND at > ?",
            (int(newest.created * 1000),),
        ).fetchone()[0]
    runs = supervisor.runs(workspace)
    training = [run for run in runs if isinstance(run.file.job, Train)]
    comparisons = reports(workspace)
    known = registry.adapters(workspace)
    return Overview(
        sessions=connection.execute("SELECT count(*) FROM session").fetchone()[0],
        examples=counts.total,
        dropped=sum(counts.dropped.values()),
        unlabelled=counts.of(examples.UNLABELLED),
        accepted=counts.of("accept"),
        rejected=counts.of("reject"),
        languages=_languages(counts),
        datasets=len(datasets),
        dataset=DatasetLine(
            f"{newest.name}@{newest.version}", dict(newest.rows), newest.created, tuple(newest.by_language)
        )
        if newest
        else None,
        runs=len(training),
        running=sum(supervisor.is_alive(run) for run in runs),
        run=_run(training[0]) if training else None,
        adapters=tuple(item.label for item in known),
        production=_production(workspace),
        unverified_merge=_unverified_merge(known, comparisons),
        reports=len(comparisons),
        report=_report(comparisons[0]) if comparisons else None,
        accepted_since=since,
    )


def _production(workspace: Workspace) -> tuple[str, ...]:
    try:
        every = aliases.aliases(workspace)
    except LoraTuiError:  # Adapters says so
        return ()
    return tuple(names[aliases.PRODUCTION] for names in every.values() if aliases.PRODUCTION in names)


def _unverified_merge(known: Sequence[Adapter], comparisons: Sequence[Report]) -> str:
    newest = known[0] if known else None
    if newest is None or not newest.metadata.strategy:
        return ""
    compared = {endpoint for item in comparisons for endpoint in (item.baseline, item.tuned)}
    return "" if f"adapter:{newest.label}" in compared else newest.label


def _languages(counts: examples.Counts) -> tuple[LanguageCount, ...]:
    found = [
        LanguageCount(
            language=language,
            total=sum(by.values()),
            accepted=by.get("accept", 0),
            unlabelled=by.get(examples.UNLABELLED, 0),
        )
        for language, by in counts.by_language.items()
    ]
    return tuple(sorted(found, key=lambda item: (item.language in ("none", "mixed"), -item.total, item.language)))


def _run(run: supervisor.Run) -> RunLine:
    view = RunView.of(run)
    job = run.file.job
    return RunLine(
        id=run.id,
        title=run.file.title,
        state=view.state,
        step=view.step,
        total_steps=view.total_steps,
        loss=view.metrics[-1].loss if view.metrics else None,
        dataset=job.dataset_name if isinstance(job, Train) else "",
        created=run.file.created,
    )


def _report(found: Report) -> ReportLine:
    return ReportLine(
        tuned_name=found.tuned,
        answers=found.tallies[TUNED][1],
        baseline=found.tallies[BASELINE][0],
        tuned=found.tallies[TUNED][0],
        created=found.created,
        failing=sum(rate is not None and rate < 1 for rate in (item.rate(TUNED) for item in found.outcomes)),
        good=_good(found),
    )


def _good(found: Report) -> str:
    if found.gates:
        return "passed its gates" if all(gate.passed for gate in found.gates) else ""
    return "is better than its baseline" if found.conclusive and found.result.outcome == "better" else ""
