"""What to compare next: a suite, a baseline, a fine-tune."""

from __future__ import annotations

import msgspec

from lora_tui.adapters import registry
from lora_tui.jobs import supervisor
from lora_tui.jobs.job import Verify
from lora_tui.jobs.supervisor import Run
from lora_tui.verify import report
from lora_tui.verify.report import Report
from lora_tui.verify.suite import suite_paths
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Verification, load_profile


class Proposal(msgspec.Struct, frozen=True):
    """What `s` starts; '' where nothing is chosen."""

    suite: str = ""
    baseline: str = ""
    tuned: str = ""
    max_tokens: int = 256

    @property
    def complete(self) -> bool:
        """Whether it can be started."""
        return bool(self.suite and self.baseline and self.tuned)


class Possible(msgspec.Struct, frozen=True):
    """What can be chosen, and what was compared before, newest first."""

    suites: tuple[str, ...]
    endpoints: tuple[str, ...]
    runs: tuple[Run, ...]
    reports: tuple[Report, ...]  # those whose run is gone
    proposal: Proposal


def read(workspace: Workspace, adapter: str = "") -> Possible:
    """Read the workspace; the proposal is `adapter`, else the newest, on its base with its profile's suite."""
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
        )
    bases = dict.fromkeys(f"base:{item.metadata.base}" for item in adapters)
    runs = tuple(run for run in supervisor.runs(workspace) if isinstance(run.file.job, Verify))
    known = {run.id for run in runs}
    return Possible(
        suites=suites,
        endpoints=(*(f"adapter:{item.label}" for item in adapters), *bases),
        runs=runs,
        reports=tuple(item for item in report.reports(workspace) if item.id not in known),
        proposal=proposal,
    )


def _verification(workspace: Workspace, profile: str) -> Verification:
    try:
        return load_profile(workspace, profile).verification
    except LoraTuiError:
        return Verification()
