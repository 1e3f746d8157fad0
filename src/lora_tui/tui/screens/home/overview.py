"""What waits at each stage of the pipeline, read from the workspace in one go."""

from __future__ import annotations

import msgspec

from lora_tui.adapters import registry
from lora_tui.curation import examples
from lora_tui.dataset import versions
from lora_tui.jobs import supervisor
from lora_tui.jobs.job import Train
from lora_tui.jobs.view import RunView
from lora_tui.verify.report import Report, reports
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
    prompts: int
    baseline: int  # prompts passed
    tuned: int
    created: float


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
    adapters: tuple[str, ...] = ()
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
        adapters=tuple(item.label for item in registry.adapters(workspace)),
        reports=len(comparisons),
        report=_report(comparisons[0]) if comparisons else None,
        accepted_since=since,
    )


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
        prompts=found.result.prompts,
        baseline=found.result.baseline_passed,
        tuned=found.result.tuned_passed,
        created=found.created,
    )
