"""What is done for the Verify screen off the event loop."""

from __future__ import annotations

from collections.abc import Callable

from lora_tui.jobs import supervisor
from lora_tui.jobs.supervisor import Run
from lora_tui.tui.screens.verify.proposal import Proposal
from lora_tui.verify import votes
from lora_tui.verify.running import run as verification
from lora_tui.workspace.layout import Workspace

Task = Callable[[], Run]  # what works afterwards


def start(workspace: Workspace, wanted: Proposal, again: Run | None) -> Run:
    """Start what is proposed, or go on with an interrupted run."""
    run = again or wanted.create(workspace)
    supervisor.start(run)
    return run


def ask_free(workspace: Workspace, wanted: Proposal, prompt: str) -> Run:
    """Ask both sides one prompt."""
    run = verification.create_free(workspace, prompt, wanted.baseline, wanted.tuned, wanted.max_tokens)
    supervisor.start(run)
    return run


def ask_again(run: Run, prompt: int) -> Run:
    """Ask one prompt, from 0, of every side again."""
    verification.ask_again(run, prompt)
    return run


def note(workspace: Workspace, report: str, author: str, prompt: int, text: str) -> None:
    """Write a note on a prompt, from 0."""
    votes.note(workspace, report, votes.Note(prompt, text, author))
