"""A merge run: into its own folder first, and from there in one step into the registry or to where it was asked for."""

from __future__ import annotations

import os
import shutil
import socket
import time
from pathlib import Path

import msgspec

from lora_tui.adapters import registry
from lora_tui.adapters.merging import output
from lora_tui.adapters.merging.coefficients import check, density_of, is_normalised, weights_of
from lora_tui.adapters.merging.merge import Result, merge
from lora_tui.adapters.merging.plan import strategy_name
from lora_tui.adapters.merging.sources import Sources, opened
from lora_tui.adapters.metadata import Metadata, Source
from lora_tui.adapters.peft_folder import CONFIG, WEIGHTS
from lora_tui.adapters.stored import Adapter, registered
from lora_tui.jobs import journal
from lora_tui.jobs.job import Merge, load_job
from lora_tui.jobs.merging import Recipe
from lora_tui.jobs.supervisor import STOP, Run
from lora_tui.workspace import atomic
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace

REPORT = "merge.json"
_DRAFT = "merged"
_TOLD_SECONDS = 0.2
_ROOM = 1 << 20  # bytes beyond the weights


class Report(msgspec.Struct, frozen=True):
    """merge.json of a merge run, and of the folder it made: what was merged, how, and what was lost."""

    label: str  # name@version, or the folder
    folder: str
    strategy: str
    settings: dict[str, str | float]
    sources: tuple[Source, ...]
    result: Result
    notes: tuple[str, ...]


class _StopAsked(Exception):
    """Somebody asked the run to stop."""


def run(folder: Path) -> None:
    """Do the job of a run folder; its journal says how it ended. Done again after a kill, it begins anew."""
    found = Run(folder=folder, file=load_job(folder / "job.toml"))
    log = journal.Journal(found.journal)
    try:
        _run(found, log)
    except _StopAsked:
        log.write(journal.Stopped())
    except LoraTuiError as error:
        log.write(journal.Failed(reason=error.what, where=error.where, fix=error.fix))
        raise
    except BaseException as error:
        log.write(journal.Failed(reason=f"this is a bug in lora-tui: {error!r}", where=str(folder / "stderr.log")))
        raise
    finally:
        shutil.rmtree(folder / _DRAFT, ignore_errors=True)
        log.close()


def load_report(run: Run) -> Report:
    """What a finished merge did. Raises BadInput where it left none."""
    path = run.folder / REPORT
    try:
        return msgspec.json.decode(path.read_bytes(), type=Report)
    except (OSError, msgspec.MsgspecError) as error:
        raise BadInput(f"cannot read what the merge did: {error}", where=str(path)) from error


def _run(run: Run, log: journal.Journal) -> None:
    job = run.file.job
    assert isinstance(job, Merge)
    began = time.monotonic()
    workspace = Workspace(Path(run.file.workspace))
    if job.output:
        atomic.sweep_drafts(Path(job.output).parent, Path(job.output).name)
    with opened(job.sources) as sources:
        check(job.recipe, len(sources.folders))
        log.write(journal.Started(pid=os.getpid(), host=socket.gethostname(), total_steps=len(sources.modules)))
        for note in sources.notes:
            log.write(journal.Note(message=note))
        done = _made_before(workspace, run, job) or _made(run, job, sources, log, workspace)
    log.write(journal.Finished(steps=len(done.result.modules), seconds=time.monotonic() - began, output=done.label))


def _made_before(workspace: Workspace, run: Run, job: Merge) -> Report | None:
    """What an earlier process of this run made, killed before it could say so."""
    path = run.folder / REPORT
    if not path.is_file():
        return None
    if job.output:
        made = Path(job.output) / REPORT
        return load_report(run) if made.is_file() and made.read_bytes() == path.read_bytes() else None
    found = next((item for item in registered(workspace) if item.metadata.run == run.id), None)
    return _registered_as(run, load_report(run), found) if found else None


def _made(run: Run, job: Merge, sources: Sources, log: journal.Journal, workspace: Workspace) -> Report:
    draft = run.folder / _DRAFT
    shutil.rmtree(draft, ignore_errors=True)
    _check_room(run.folder, job, sources)
    draft.mkdir()
    told = 0.0

    def advance(done: int, total: int) -> None:
        nonlocal told
        if (run.folder / STOP).exists():
            raise _StopAsked
        if done in (0, total) or time.monotonic() - told > _TOLD_SECONDS:
            log.write(journal.Progress(stage="modules", done=done, total=total))
            told = time.monotonic()

    result = merge(sources, job.recipe, draft, advance)
    report = Report(
        label=job.output,
        folder=job.output,
        strategy=strategy_name(job.recipe),
        settings=_settings(job.recipe),
        sources=_weighted(sources, job.recipe),
        result=result,
        notes=sources.notes,
    )
    if job.output:
        with atomic.new_folder(Path(job.output)) as folder:
            _move(draft, folder)
            (folder / REPORT).write_bytes(_encoded(report))
            _write(run, report)
        return report

    def fill(folder: Path) -> None:
        _move(draft, folder)
        _write(run, report)  # without its label: killed before that is known, it is found again by the run's id

    return _registered_as(run, report, registry.add(workspace, _metadata(run, job, report), fill))


def _registered_as(run: Run, report: Report, made: Adapter) -> Report:
    named = msgspec.structs.replace(report, label=made.label, folder=str(made.folder))
    _write(run, named)
    return named


def _metadata(run: Run, job: Merge, report: Report) -> Metadata:
    return Metadata(
        name=job.name,
        run=run.id,
        parents=tuple(dict.fromkeys(source.label for source in report.sources)),
        sources=report.sources,
        strategy=report.strategy,
        strategy_settings=report.settings,
        errors={module.name: module.error for module in report.result.modules},
        error=report.result.error,
        note=" ".join(f"{note}." for note in report.notes),
    )


def _weighted(sources: Sources, recipe: Recipe) -> tuple[Source, ...]:
    weights = weights_of(recipe, len(sources.folders)).tolist()
    return tuple(Source(label, weight) for label, weight in zip(sources.labels, weights, strict=True))


def _settings(recipe: Recipe) -> dict[str, str | float]:
    """What decided the result, as metadata keeps it."""
    found: dict[str, str | float] = {}
    if recipe.strategy == "slerp":
        found["t"] = recipe.t
    if recipe.strategy in ("ties", "dare"):
        found |= {"density": density_of(recipe), "space": recipe.space}
    if recipe.strategy == "dare" or recipe.space == "delta":
        found["seed"] = float(recipe.seed)
    if recipe.strategy in ("ties", "dare", "task-arithmetic"):
        found["lambda"] = recipe.scaling
    if is_normalised(recipe):
        found["weights"] = "normalised"
    if recipe.renormalise:
        found["modules that some lack"] = "renormalised"
    if recipe.rank:
        found["rank"] = float(recipe.rank)
    return found


def _check_room(folder: Path, job: Merge, sources: Sources) -> None:
    of, stored = output.ranks(sources, job.recipe), output.dtype(sources, job.recipe)
    needed = output.file_bytes(sources.modules, of, stored) + _ROOM
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise LoraTuiError(
            f"the merged adapter takes {needed / 1e6:.0f} MB, and {free / 1e6:.0f} MB are free",
            where=str(folder),
            fix="Free some space.",
        )


def _move(draft: Path, folder: Path) -> None:
    for name in (CONFIG, WEIGHTS):
        shutil.move(draft / name, folder / name)


def _write(run: Run, report: Report) -> None:
    atomic.write_bytes(run.folder / REPORT, _encoded(report))


def _encoded(report: Report) -> bytes:
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"
