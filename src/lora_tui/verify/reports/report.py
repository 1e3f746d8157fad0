"""Reports: a suite's answers from two or more endpoints with what they prove; where they lie and how they are found."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Literal

import msgspec

from lora_tui.jobs.checks import Verdict, verdict
from lora_tui.jobs.journal import Answer
from lora_tui.verify.asking import Sampling
from lora_tui.verify.statistics import Comparison, Latency, Noise
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

BASELINE, TUNED = "baseline", "tuned"
JUDGE = "judge"  # who reads what `llm-rubric` asks for, labelled as a side is
Change = Literal["lost", "gained", "worse", "better", ""]


class Side(msgspec.Struct, frozen=True):
    """One endpoint of a comparison, as it was found and as it behaved."""

    label: str  # "baseline", "tuned", "other 1", …
    endpoint: str  # as typed
    engine: str = ""
    model: str = ""  # the name it is asked for by
    version: str = ""  # the engine's
    digest: str = ""  # of what determines its answers; empty: not known
    proven: bool = True  # it shows which model it has
    notes: tuple[str, ...] = ()
    at_once: int = 0  # requests in flight it took; 0: nothing was asked of it
    warm_up_seconds: float = 0.0  # before the first question, beside the times below
    answers: int = 0
    cached: int = 0  # of these, kept from an earlier run
    seconds: float | None = None  # mean of an answer that was made in this run; None: all were kept
    tokens_per_second: float | None = None  # the same, from the first token on
    stop_rate: float | None = None  # share of answers the model ended itself
    rss_bytes: int = 0  # its process's most; 0: not on this machine, or not seen
    vram_bytes: int = 0


class Fault(msgspec.Struct, frozen=True):
    """What an endpoint did wrong, and how often. `voids`: nothing can be concluded from answers like these."""

    side: str
    code: str  # a name of `asking.FaultCode`
    message: str
    times: int = 1
    voids: bool = False


class Gate(msgspec.Struct, frozen=True):
    """One condition for a promotion, and what was measured. `passed` None: undecided, `detail` says why."""

    text: str  # "success >= 98 %"
    passed: bool | None
    measured: str = ""  # "96.4 %", as people read it
    detail: str = ""


class Outcome(msgspec.Struct, frozen=True):
    """One prompt with the samples of every side, in their order."""

    description: str
    prompt: str
    language: str
    answers: dict[str, tuple[Answer, ...]]
    threshold: float | None = None
    asked_again: int = 0  # times somebody had it asked again

    def rate(self, side: str) -> float | None:
        """The share of a side's samples that passed; None where none could be judged."""
        found = [verdict_of(item) for item in self.answers.get(side, ()) if not item.error]
        judged = [item for item in found if item != "not run"]
        return sum(item == "passed" for item in judged) / len(judged) if judged else None

    @property
    def change(self) -> Change:
        """What the fine-tune did to it: lost or gained where every sample agrees, else worse or better."""
        before, after = self.rate(BASELINE), self.rate(TUNED)
        if before is None or after is None or before == after:
            return ""
        if after < before:
            return "lost" if (before, after) == (1, 0) else "worse"
        return "gained" if (before, after) == (0, 1) else "better"


class Report(msgspec.Struct, frozen=True):
    """report.json."""

    id: str
    suite: str
    created: float  # epoch seconds
    sides: tuple[Side, ...]  # baseline and tuned first
    sampling: Sampling
    samples: int  # of each prompt, at most
    verdict: str  # for people; says so where there is none
    result: Comparison  # of tuned against baseline, over all prompts that both answered and that were judged
    outcomes: tuple[Outcome, ...]  # in the suite's order
    languages: dict[str, Comparison] = {}  # where there are several; p adjusted for all of them being looked at
    latency: Latency | None = None
    noise: dict[str, Noise] = {}  # by side
    faults: tuple[Fault, ...] = ()
    gates: tuple[Gate, ...] = ()
    errors: int = 0  # answers that could not be had
    not_run: int = 0  # prompts left out of the result, because something that decides could not be checked
    seconds: float = 0.0  # from the first question to the last answer
    suite_sha256: str = ""  # of the suite file, so that a history compares like with like
    profile: str = ""
    judge: Side | None = None  # who read what `llm-rubric` asks for

    @property
    def baseline(self) -> str:
        """The endpoint compared with, as typed."""
        return self.sides[0].endpoint

    @property
    def tuned(self) -> str:
        """The fine-tune's endpoint, as typed."""
        return self.sides[1].endpoint

    @property
    def tallies(self) -> dict[str, tuple[int, int]]:
        """Samples that passed and that were judged, of the two that are compared: {"tuned": (4, 5), …}."""
        rates = {BASELINE: self.result.baseline, TUNED: self.result.tuned}
        return {side: (rate.passed, rate.samples) if rate else (0, 0) for side, rate in rates.items()}

    @property
    def conclusive(self) -> bool:
        """Whether a verdict was possible at all: every answer came, and none is void."""
        return not self.errors and not any(fault.voids for fault in self.faults) and self.result.prompts > 0

    def side(self, label: str) -> Side:
        """The side of this label."""
        return next(item for item in self.sides if item.label == label)


def verdict_of(answer: Answer) -> Verdict:
    """What an answer is worth: "not run" where something that decides could not be checked."""
    return "failed" if answer.error else verdict(answer.checks, answer.threshold)


def passed(answer: Answer) -> bool:
    """An answer passes when it came and met every expectation, or enough of them where its test says how much."""
    return verdict_of(answer) == "passed"


def reports(workspace: Workspace) -> list[Report]:
    """Every readable report, newest first."""
    found = []
    for path in workspace.reports.glob("*/report.json"):
        with contextlib.suppress(BadInput):
            found.append(load(path.parent))
    return sorted(found, key=lambda item: item.created, reverse=True)


def unreadable(workspace: Workspace, after: str = "") -> list[str]:
    """The ids, greater than `after`, of reports that are there and cannot be read: damaged, or a newer version's."""
    found = []
    for path in workspace.reports.glob("*/report.json"):
        if path.parent.name > after:
            try:
                load(path.parent)
            except BadInput:
                found.append(path.parent.name)
    return sorted(found)


def about(workspace: Workspace, label: str) -> list[Report]:
    """The reports in which an adapter version answered, on whichever side; newest first.

    It is named as `adapter:LABEL`, or as the model LABEL of a server.
    """
    return [item for item in reports(workspace) if label in {named(side.endpoint) for side in item.sides}]


def named(endpoint: str) -> str:
    """The adapter or model that an endpoint's name ends with: `adapter:coder@1.0.0`, `openai:URL#coder@1.0.0`."""
    rest = endpoint.partition(":")[2]
    return rest.rpartition("#")[2] if "://" in rest else rest


def find(workspace: Workspace, name: str) -> Report:
    """The report with this id, a unique beginning of one, or 'latest'. Raises BadInput."""
    known = sorted(path.parent.name for path in workspace.reports.glob("*/report.json"))
    fitting = [known[-1]] if name == "latest" and known else [item for item in known if item.startswith(name)]
    if name in known:
        fitting = [name]
    if len(fitting) != 1 or not name:
        what = f"{len(fitting)} reports begin with {name!r}" if fitting else f"there is no report {name!r}"
        raise BadInput(what, fix="See `lora-tui reports list`, or say 'latest'.")
    return load(workspace.reports / fitting[0])


def load(folder: Path) -> Report:
    """Read one report. Raises BadInput when it is not there or damaged."""
    try:
        return msgspec.json.decode((folder / "report.json").read_bytes(), type=Report)
    except (OSError, UnicodeDecodeError, msgspec.DecodeError) as error:
        raise BadInput(f"there is no readable report: {error}", where=str(folder)) from error
