"""What is looked at, as a Comparison: a run whose journal is read on from where the last look stopped, or a report."""

from __future__ import annotations

import msgspec

from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.job import Verify
from lora_tui.jobs.supervisor import Run
from lora_tui.jobs.view import RunView
from lora_tui.tui.screens.verify.comparison import Comparison, Prompt, Reply, group_of, of_report, reply_of
from lora_tui.tui.wording import many
from lora_tui.verify import votes
from lora_tui.verify.reports import report
from lora_tui.verify.reports.concluding import Heard
from lora_tui.verify.reports.report import Fault, Outcome, Report, Side
from lora_tui.verify.running.asked_suite import suite_of
from lora_tui.verify.running.order import samples_of
from lora_tui.verify.running.run import ANSWERS, sampling_of, sides_of
from lora_tui.verify.suites.suite import Suite
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace

_STOPPING = "stopping after what is under way"


def told(workspace: Workspace, found: Report) -> Comparison:
    """A report with what people wrote and voted beside it."""
    notes: dict[int, list[str]] = {}
    for note in votes.notes(workspace, found.id):
        notes.setdefault(note.prompt + 1, []).append(note.text)
    return msgspec.structs.replace(
        of_report(found),
        notes={number: " · ".join(texts) for number, texts in notes.items()},
        voted=_voted(workspace, found),
    )


def _voted(workspace: Workspace, found: Report) -> str:
    """What the votes say, once somebody has voted on every pair: before that it could sway who goes on voting."""
    given = votes.votes(workspace, found.id)
    voters = {vote.voter for vote in given}
    if not given:
        return ""
    if all(votes.open_pairs(votes.pairs(found, voter), given, voter) for voter in voters):
        return f"{many(len(given), 'blind vote')} so far"
    tally = votes.tally(found, given)
    return f"{many(tally.votes, 'blind vote')}: {tally.test.verdict}"


class Lying:
    """A report whose run is gone: it is read anew at every look."""

    run: Run | None = None
    free = False

    def __init__(self, workspace: Workspace, identity: str) -> None:
        self.id = identity
        self._workspace = workspace

    def look(self) -> Comparison:
        """The report. Raises BadInput when it is gone or damaged."""
        return told(self._workspace, report.load(self._workspace.reports / self.id))


class Following:
    """Follows one verification run. Used by one thread at a time."""

    def __init__(self, workspace: Workspace, run: Run) -> None:
        self.run: Run | None = run
        self._job, self._folder = run.file.job, run.folder
        self.id = run.id
        self._workspace = workspace
        self._view = RunView(run)
        self._suite: Suite | None = None
        self._heard = Heard.of([])
        self._stage = ""
        self._report: Report | None = None
        self._lost = ""  # why it cannot be read
        self.free = isinstance(run.file.job, Verify) and bool(run.file.job.prompt)

    def look(self) -> Comparison:
        """The run as it is now. Raises BadInput when its suite cannot be read any more."""
        view, job = self._view, self._job
        assert isinstance(job, Verify)
        news = view.refresh()
        for event in news:
            self._heard.fold(event)
            if isinstance(event, journal.Starting | journal.Started):
                self._stage = ""
            elif isinstance(event, journal.Progress):
                self._stage = _told_stage(event)
        if view.state == "finished" and not self.free:
            found = self._finished(anew=bool(news))
            if found is not None:
                return told(self._workspace, found)
        return self._going_on(job)

    def _finished(self, *, anew: bool) -> Report | None:
        """The report; None where it is gone or damaged."""
        if self._report is None or anew:
            try:
                self._report = report.load(self._workspace.reports / self.id)
                self._lost = ""
            except LoraTuiError as error:
                self._report, self._lost = None, f"{error.what} ({error.where})"
        return self._report

    def _going_on(self, job: Verify) -> Comparison:
        if self._suite is None:
            self._suite = suite_of(job, self._folder)
        view, suite, sides = self._view, self._suite, sides_of(job)
        samples = samples_of(suite, job.samples, sampling_of(job, suite).temperature == 0)
        faults: dict[tuple[str, str], Fault] = {}
        for one in self._heard.faults:
            known = faults.get((one.side, one.code))
            times = known.times + 1 if known else 1
            faults[one.side, one.code] = Fault(one.side, one.code, one.message, times, one.voids)
        return Comparison(
            id=self.id,
            suite=suite.name,
            sides=tuple(self._side(label, endpoint) for label, endpoint in sides.items()),
            state=view.state,
            done=sum(not answer.error for answer in self._heard.answers.values()),
            total=sum(samples) * len(sides),
            prompts=tuple(self._prompt(number, many, list(sides)) for number, many in enumerate(samples)),
            stage=_STOPPING if (self._folder / supervisor.STOP).exists() else self._stage,
            failure=view.failure or self._lost,
            faults=tuple(faults.values()),
            free=self.free,
        )

    def _prompt(self, number: int, samples: int, sides: list[str]) -> Prompt:
        assert self._suite is not None
        case, answers = self._suite.cases[number], self._heard.answers
        places = {side: [(number, side, sample) for sample in range(samples)] for side in sides}
        there = {side: tuple(answers[one] for one in some if one in answers) for side, some in places.items()}
        whole = all(len(some) == samples for some in there.values())
        outcome = Outcome(case.description, case.prompt, case.language, there, case.threshold)
        return Prompt(
            number + 1,
            case.description,
            case.prompt,
            case.language,
            {side: tuple(self._reply(one) for one in some) for side, some in places.items()},
            group_of(outcome) if whole and case.expectations else "",
            self._heard.again[number],
        )

    def _reply(self, place: tuple[int, str, int]) -> Reply:
        if text := self._view.partial.get(place, ""):  # of an answer that could not be had, a further attempt
            return Reply(outcome="writing", text=text)
        answer = self._heard.answers.get(place)
        if answer is None:
            return Reply()
        found = reply_of(answer)
        return msgspec.structs.replace(found, outcome="answered") if self.free and found.outcome == "passed" else found

    def _side(self, label: str, endpoint: str) -> Side:
        found = self._heard.identified.get(label)
        if found is None:
            return Side(label, endpoint)
        return Side(
            label, endpoint, found.engine, found.model, found.version, found.digest, found.proven, notes=found.notes
        )


def _told_stage(event: journal.Progress) -> str:
    """What it does beside asking; while answers come, these say it."""
    if event.stage == ANSWERS:
        return ""
    return f"{event.stage}, {event.done:,} of {event.total:,}" if event.total else event.stage
