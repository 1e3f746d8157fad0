"""The lessons of a report: which prompts its fine-tune failed, and what that fine-tune learned from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from lora_tui.adapters import registry
from lora_tui.adapters.lineage import dataset_of, lineage
from lora_tui.adapters.registry import Adapter
from lora_tui.adapters.stored import registered
from lora_tui.curation import queues
from lora_tui.curation.filters import Filter
from lora_tui.curation.queues import Queue
from lora_tui.verify.lessons.candidates import merged
from lora_tui.verify.lessons.lesson import Failing, Lesson
from lora_tui.verify.lessons.teaching import Basis, teach
from lora_tui.verify.reports.report import TUNED, Outcome, Report, named, verdict_of
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace


def lessons_of(
    workspace: Workspace, report: Report, *, prompt: int = 0, cancelled: Callable[[], bool] = lambda: False
) -> list[Lesson]:
    """A lesson for each prompt that the fine-tune did not pass every time; `prompt`: of this one alone, from 1.

    Takes up to some seconds (see `teach`): call it in a thread. Raises BadInput where this prompt did not fail.
    """
    failing = failing_of(report)
    if prompt:
        failing = [item for item in failing if item.number == prompt]
        if not failing:
            raise BadInput(_no_lesson(report, prompt), where=f"report {report.id}")
    asked = [outcome.prompt for outcome in report.outcomes]
    return teach(workspace, report.suite, failing, basis_of(workspace, report), asked, cancelled)


def failing_of(report: Report) -> list[Failing]:
    """The prompts of which a sample of the fine-tune failed, with what was missed, the most often missed first.

    Answers that could not be had or not be judged say nothing about the model.
    """
    found = []
    for number, outcome in enumerate(report.outcomes, start=1):
        rate = outcome.rate(TUNED)
        if rate is not None and rate < 1:
            found.append(Failing(outcome.prompt, outcome.language, _missed(outcome), number))
    return found


def basis_of(workspace: Workspace, report: Report) -> Basis:
    """The dataset versions that the report's fine-tune and what it comes from were trained on, as far as they are here.

    Where none is, all accepted examples stand for them, and the note says why.
    """
    adapter = _adapter(workspace, report)
    if adapter is None:
        return Basis(note=f"{report.tuned} is no adapter of this workspace: compared with all accepted examples")
    found, notes = [], []
    for item in lineage(workspace, adapter):
        try:
            if isinstance(item, str):
                raise BadInput(f"{item}, which {adapter.label} comes from, is gone")
            if item.metadata.dataset:
                found.append(dataset_of(workspace, item))
        except BadInput as error:
            notes.append(error.what)
    if not found:
        notes = notes or [f"nothing says what {adapter.label} was trained on"]
        notes.append("compared with all accepted examples")
    return Basis(tuple({dataset.label: dataset for dataset in found}.values()), "; ".join(notes))


def queue(workspace: Workspace, report: Report, lessons: Sequence[Lesson], author: str, name: str = "") -> Queue:
    """Freeze the candidates of these lessons as a queue for Sessions, the best first; nothing is decided by it.

    Its name is that of the report where none is given. Raises BadInput when there is no candidate or the name is taken.
    """
    proposed = merged([lesson.candidates for lesson in lessons])
    if not proposed:
        raise BadInput(
            "no undecided example mentions what is missing",
            where=f"report {report.id}",
            fix="Take in more with `lora-tui ingest`, `mine` or `augment`.",
        )
    languages = {lesson.language for lesson in lessons}
    taken_from = Filter(decision="unlabelled", languages=() if "" in languages else tuple(sorted(languages)))
    return queues.create_proposed(workspace, name or queue_name(report), proposed, author=author, filter=taken_from)


def queue_name(report: Report, prompt: int = 0) -> str:
    """What the queue of a report is called, or that of one of its prompts."""
    return f"lessons-{report.id}" + (f"-{prompt}" if prompt else "")


def _missed(outcome: Outcome) -> tuple[str, ...]:
    failed = [answer for answer in outcome.answers[TUNED] if not answer.error and verdict_of(answer) == "failed"]
    missed = Counter(
        check.expectation
        for answer in failed
        for check in answer.checks
        if not (check.passed or check.not_run) and check.weight > 0
    )
    return tuple(text for text, _ in missed.most_common())


def _adapter(workspace: Workspace, report: Report) -> Adapter | None:
    """The registered version that answered as the fine-tune; by its exact label where the report has one."""
    side = report.side(TUNED)
    known = {item.label: item for item in registered(workspace)}
    for name in (side.model, side.model.removeprefix("adapter:"), named(side.endpoint)):
        if name in known:
            return known[name]
    if not side.endpoint.startswith("adapter:"):
        return None
    try:
        return registry.find(workspace, named(side.endpoint))
    except LoraTuiError:
        return None


def _no_lesson(report: Report, prompt: int) -> str:
    if prompt > len(report.outcomes):
        return f"there is no prompt {prompt}: the suite has {len(report.outcomes)}"
    if report.outcomes[prompt - 1].rate(TUNED) is None:
        return f"whether prompt {prompt} failed is not known: no answer to it was judged"
    return f"the fine-tune passed prompt {prompt} every time"
