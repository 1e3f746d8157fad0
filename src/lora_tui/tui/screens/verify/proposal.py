"""What to compare next: a suite, a baseline, a fine-tune, and how they are asked."""

from __future__ import annotations

from pathlib import Path

import msgspec

from lora_tui.adapters import registry
from lora_tui.jobs import supervisor
from lora_tui.jobs.job import Verify
from lora_tui.jobs.supervisor import Run
from lora_tui.verify.reports import report
from lora_tui.verify.reports.report import Report
from lora_tui.verify.running import run as verification
from lora_tui.verify.suites.suite import suite_paths
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Verification, load_profile


class Proposal(msgspec.Struct, frozen=True):
    """What `s` starts; '' where nothing is chosen."""

    suite: str = ""
    baseline: str = ""
    tuned: str = ""
    max_tokens: int = 256
    samples: int = 0  # of each prompt; 0: as many as the suite says
    temperature: float | None = None  # None: greedy with one sample of each prompt, else the usual one
    seed: int = 0
    at_once: int = 0  # requests in flight; 0: as many as the endpoint takes
    fresh: bool = False  # take no answer kept from an earlier run
    others: tuple[str, ...] = ()  # further endpoints
    gates: tuple[str, ...] = ()
    profile: str = ""  # whose gates they are
    judge: str = ""

    @property
    def complete(self) -> bool:
        """Whether it can be started."""
        return bool(self.suite and self.baseline and self.tuned)

    @property
    def set_apart(self) -> str:
        """What was set beside the three, in few words; empty: nothing."""
        words = [
            f"{self.samples} samples" if self.samples else "",
            f"temperature {self.temperature:g}" if self.temperature is not None else "",
            f"+{len(self.others)} more" if self.others else "",
            f"{len(self.gates)} gates" if self.gates else "",
            "judged" if self.judge else "",
        ]
        return ", ".join(word for word in words if word)

    def create(self, workspace: Workspace) -> Run:
        """The run that asks all this, not started yet. Raises BadInput."""
        return verification.create(
            workspace,
            self.suite,
            self.baseline,
            self.tuned,
            self.max_tokens,
            others=self.others,
            samples=self.samples,
            temperature=self.temperature,
            seed=self.seed,
            at_once=self.at_once,
            fresh=self.fresh,
            gates=self.gates,
            profile=self.profile,
            judge=self.judge,
        )


class Past(msgspec.Struct, frozen=True):
    """A comparison whose run is gone and whose report is there."""

    id: str
    created: float
    suite: str
    tuned: str


class Possible(msgspec.Struct, frozen=True):
    """What can be chosen, and what was compared before, newest first."""

    suites: tuple[str, ...]
    endpoints: tuple[str, ...]
    runs: tuple[Run, ...]
    reports: tuple[Past, ...]
    proposal: Proposal

    @property
    def newest(self) -> str:
        """The id of the newest comparison; empty where nothing was compared."""
        return self.runs[0].id if self.runs else self.reports[0].id if self.reports else ""

    @property
    def newest_of_suite(self) -> str:
        """The same, of those that asked a suite, and no free prompt."""
        asked = (run.id for run in self.runs if isinstance(run.file.job, Verify) and not run.file.job.prompt)
        return next(asked, self.reports[0].id if self.reports else "")


def read(workspace: Workspace, adapter: str = "") -> Possible:
    """Read the workspace; the proposal is `adapter`, else the newest, on its base as its profile wants it verified."""
    suites = tuple(suite_paths(workspace))
    adapters = registry.adapters(workspace)
    chosen = next((item for item in adapters if item.label == adapter), adapters[0] if adapters else None)
    proposal = Proposal(suite=suites[0] if len(suites) == 1 else "")
    if chosen is not None:
        wanted = _verification(workspace, chosen.metadata.profile)
        proposal = Proposal(
            suite=wanted.suite if wanted.suite in suites else proposal.suite,
            baseline=f"base:{chosen.metadata.base}",
            tuned=f"adapter:{chosen.label}",
            max_tokens=wanted.max_tokens,
            gates=wanted.gates,
            profile=chosen.metadata.profile,
        )
    bases = dict.fromkeys(f"base:{item.metadata.base}" for item in adapters)
    runs = tuple(run for run in supervisor.runs(workspace) if isinstance(run.file.job, Verify))
    known = {run.id for run in runs}
    return Possible(
        suites=suites,
        endpoints=(*(f"adapter:{item.label}" for item in adapters), *bases),
        runs=runs,
        reports=tuple(_past(item) for item in report.reports(workspace) if item.id not in known),
        proposal=proposal,
    )


def like(run: Run, proposal: Proposal) -> Proposal:
    """`proposal`, with what it lacks as a run has it; all of it where no side is chosen."""
    job = run.file.job
    if not isinstance(job, Verify) or proposal.complete:
        return proposal
    if not (proposal.baseline or proposal.tuned):
        proposal = msgspec.structs.replace(
            proposal,
            max_tokens=job.max_tokens,
            samples=job.samples,
            temperature=job.temperature,
            others=job.others,
        )
    return msgspec.structs.replace(
        proposal,
        suite=proposal.suite or Path(job.suite).stem,
        baseline=proposal.baseline or job.baseline,
        tuned=proposal.tuned or job.tuned,
    )


def _past(found: Report) -> Past:
    return Past(found.id, found.created, found.suite, found.tuned)


def _verification(workspace: Workspace, profile: str) -> Verification:
    try:
        return load_profile(workspace, profile).verification
    except LoraTuiError:
        return Verification()
