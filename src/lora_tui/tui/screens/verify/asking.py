"""What keys of the Verify screen ask before something happens."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from lora_tui.jobs.job import Verify
from lora_tui.jobs.supervisor import Run
from lora_tui.tui.safe_text import moment, one_line
from lora_tui.tui.screens.dialogs.ask import AskDialog
from lora_tui.tui.screens.dialogs.choose import ChooseDialog
from lora_tui.tui.screens.dialogs.confirm import ConfirmDialog
from lora_tui.tui.screens.verify import arranging
from lora_tui.tui.screens.verify.comparison import Comparison
from lora_tui.tui.screens.verify.proposal import Possible, Proposal
from lora_tui.tui.screens.verify.start_form import StartForm
from lora_tui.tui.stage import Stage
from lora_tui.tui.wording import endpoint_name, many
from lora_tui.verify.endpoints import check_name
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import conditions

_ANOTHER = "another"  # the choice that asks for an endpoint by name
Take = Callable[[Proposal], None]


def suite(stage: Stage, possible: Possible, proposal: Proposal, take: Take) -> None:
    """Which suite. Raises BadInput where there is none."""
    choices = [(name, name) for name in possible.suites]
    if not choices:
        raise BadInput("there is no suite yet", fix="Put one into the workspace's profiles/suites folder.")
    stage.ask(
        ChooseDialog("Suite", choices, proposal.suite),
        lambda name: take(msgspec.structs.replace(proposal, suite=name)),
    )


def side(stage: Stage, possible: Possible, proposal: Proposal, which: str, take: Take) -> None:
    """Which endpoint is the baseline or the fine-tune; one that is not listed is typed."""

    def named(name: str) -> None:
        if name == _ANOTHER:
            stage.ask(AskDialog("Endpoint", "base:PATH, adapter:NAME@VERSION, openai:URL#MODEL, …"), named)
            return
        check_name(stage.shell.workspace, name)
        take(msgspec.structs.replace(proposal, **{which: name}))

    choices = [(name, f"{endpoint_name(name)}   {name}") for name in possible.endpoints]
    choices.append((_ANOTHER, "another: base:PATH, openai:URL#MODEL …"))
    title = "Baseline" if which == "baseline" else "Fine-tune"
    stage.ask(ChooseDialog(title, choices, getattr(proposal, which)), named)


def options(stage: Stage, proposal: Proposal, take: Take) -> None:
    """Samples, sampling, gates, further endpoints."""
    workspace = stage.shell.workspace
    stage.ask(StartForm(proposal, lambda wanted: _check(workspace, wanted)), take)


def _check(workspace: Workspace, wanted: Proposal) -> None:
    for name in (*wanted.others, *([wanted.judge] if wanted.judge else [])):
        check_name(workspace, name)
    for gate in wanted.gates:
        conditions.read(gate)


def earlier(stage: Stage, possible: Possible, now: str, take: Callable[[str], None]) -> None:
    """Which of what was compared before. Raises BadInput where nothing was."""
    if not (possible.runs or possible.reports):
        raise BadInput("nothing was compared yet", fix="Start with s.")
    choices = [(run.id, f"{moment(run.file.created)}  {_short(run)}") for run in possible.runs]
    choices += [
        (item.id, f"{moment(item.created)}  {item.suite}: {endpoint_name(item.tuned)}") for item in possible.reports
    ]
    above = "Versions over time: lora-tui reports history"
    stage.ask(ChooseDialog("Comparisons", choices, now, above=above), take)


def language(stage: Stage, found: Comparison | None, now: str, take: Callable[[str], None]) -> None:
    """Which languages are listed. Raises BadInput where there is only one."""
    if found is None or not found.languages:
        raise BadInput("these prompts are all of one language")
    stage.ask(ChooseDialog("Prompts", arranging.choices(found), now), take)


def free_prompt(stage: Stage, proposal: Proposal, take: Callable[[str], None]) -> None:
    """A prompt of one's own, for both sides. Raises BadInput where they are not chosen."""
    if not (proposal.baseline and proposal.tuned):
        raise BadInput("baseline and fine-tune are not both chosen", fix="Choose with b and t.")
    names = f"{endpoint_name(proposal.tuned)} and {endpoint_name(proposal.baseline)}"
    stage.ask(AskDialog("Ask both", f"What shall {names} answer? Nothing is expected of it."), take)


def again(stage: Stage, number: int, take: Callable[[], None]) -> None:
    """Whether a prompt is to be asked again: its answers so far do not count any more then."""
    text = (
        f"Prompt {number} is asked again of every side. Its answers so far stay in the journal, but do not count any "
        "more, and the report says how often it was asked again."
    )
    stage.ask(ConfirmDialog("Ask again", text, "ask"), lambda yes: take() if yes else None)


def can_go_on(run: Run, found: Comparison) -> bool:
    """Whether what is shown was interrupted."""
    return found.id == run.id and found.state in ("stopped", "failed")


def go_on(stage: Stage, run: Run, found: Comparison, wanted: Proposal, take: Callable[[bool], None]) -> None:
    """Whether an interrupted run goes on, or what is wanted begins anew: asked only where that is something else."""
    if not wanted.complete or _is_as_begun(run, found, wanted):
        take(True)
        return
    there = f"{found.done:,} of {many(found.total, 'answer')}"
    choices = [
        ("on", f"go on with {one_line(found.suite)} as it was begun ({there})"),
        ("new", f"begin anew: {wanted.suite}, as it is proposed now"),
    ]
    stage.ask(ChooseDialog("Start", choices), lambda choice: take(choice == "on"))


def _is_as_begun(run: Run, found: Comparison, wanted: Proposal) -> bool:
    job = run.file.job
    assert isinstance(job, Verify)
    settings = ("baseline", "tuned", "others", "samples", "temperature", "seed", "max_tokens", "at_once", "fresh")
    return found.suite == wanted.suite and all(
        getattr(job, name) == getattr(wanted, name) for name in (*settings, "gates", "judge")
    )


def note(stage: Stage, number: int, now: str, take: Callable[[str], None]) -> None:
    """A note on a prompt; an empty one takes it away."""
    stage.ask(AskDialog(f"Note on prompt {number}", "It stays beside the report.", now, may_be_empty=True), take)


def _short(run: Run) -> str:
    job = run.file.job
    assert isinstance(job, Verify)
    about = f"free prompt {one_line(job.prompt)[:40]!r}" if job.prompt else run.file.title.partition(":")[0]
    return f"{about}: {endpoint_name(job.tuned)} against {endpoint_name(job.baseline)}"
