"""What leaves the registry: versions promoted, served, written out for others, put into the agent's settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec

from lora_tui.adapters import aliases
from lora_tui.adapters.registry import Adapter
from lora_tui.jobs import supervisor
from lora_tui.jobs.job import Export
from lora_tui.tui.screens.adapters.asking import Begin
from lora_tui.tui.screens.adapters.shelf import Item
from lora_tui.tui.screens.adapters.tasks import Done
from lora_tui.tui.screens.dialogs.ask import AskDialog
from lora_tui.tui.screens.dialogs.choose import ChooseDialog
from lora_tui.tui.screens.dialogs.command import CommandDialog
from lora_tui.tui.screens.dialogs.page import PageDialog
from lora_tui.tui.stage import Stage
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

After = Callable[[bool | None], None]
_ENGINES = (
    ("", "the best one here"),
    ("vllm", "vLLM: a GPU, adapters swapped while it serves"),
    ("llama-cpp", "llama.cpp: any machine; a process for each version"),
    ("transformers", "transformers: slow, needs the train extra"),
    ("ollama", "Ollama: a model for each version"),
)
_EXPORTS = (
    ("merged", "merged into its base: a Hugging Face folder"),
    ("gguf", "merged, as GGUF: llama.cpp, LM Studio"),
    ("adapter", "the adapter alone, as GGUF"),
    ("ollama", "a model at Ollama"),
    ("vllm", "vLLM's command for it or the marked ones"),
)
_STOP = "stop:"


class Proposed(msgspec.Struct, frozen=True):
    """What would be written into the agent's settings. `write` does it."""

    difference: str  # empty: nothing would change
    notes: tuple[str, ...]
    write: Callable[[], Done]


def promote(stage: Stage, item: Item, after: After) -> None:
    """Ask why, then promote it: the files are checked, servers load it and are asked before the alias moves."""
    name = item.adapter.metadata.name
    now = aliases.target(stage.shell.workspace, name, aliases.PRODUCTION)
    was = f"It is {name}@{now} now. " if now else ""
    score = f"{item.score.passed} of {item.score.answers} against {item.score.against}" if item.score else ""
    question = f"{item.label} becomes what {name} means. {was}Why? The history keeps it."

    def promoted(why: str) -> None:
        _command(stage, f"Promoting {item.label}", "promote", ["promote", item.label, f"--why={why}"], after)

    stage.ask(AskDialog("Promote", question, score, may_be_empty=True), promoted)


def rollback(stage: Stage, item: Item, after: After) -> None:
    """Ask why, then make the name mean the version before."""
    name = item.adapter.metadata.name
    question = f"{name} means the version before this one again. Why? The history keeps it."

    def back(why: str) -> None:
        words = [f"--why={why}"] if why else []
        _command(stage, f"Rolling {name} back", "rollback", ["rollback", name, *words], after)

    stage.ask(AskDialog("Rollback", question, may_be_empty=True), back)


def serve(stage: Stage, items: Sequence[Item], running: Sequence[str], after: After) -> None:
    """Ask with which engine, then for the base, and start a set behind a router; or stop one."""

    def based(engine: str, base: str) -> None:
        words = ["serve", base, *(word for item in items for word in ("--adapter", item.label))]
        words += [*(["--engine", engine] if engine else []), "--route", "--detach"]
        _command(stage, "Serving", "serve", words, after)

    def chosen(value: str) -> None:
        if value.startswith(_STOP):
            _command(stage, "Stopping", "serve", ["serve", "stop", value.removeprefix(_STOP)], after)
        else:
            question = "Its base: a folder, a Hugging Face id, or a GGUF file."
            ask = AskDialog("Serve " + ", ".join(item.label for item in items), question, _base(items))
            stage.ask(ask, partial(based, value))

    choices = [(_STOP + name, f"stop {name}") for name in running]
    choices += [(name, f"{name:13} {about}" if name else about) for name, about in _ENGINES]
    stage.ask(ChooseDialog("Serve with", choices, ""), chosen)


def export(stage: Stage, item: Item, marked: Sequence[Item], begin: Begin) -> None:
    """Ask what to write, of which base, and where; then start it as a job."""
    workspace = stage.shell.workspace

    def placed(what: str, base: str, output: str) -> None:
        begin(f"preparing {item.label} as {what}", partial(_start_export, workspace, item.label, what, base, output))

    def based(what: str, base: str) -> None:
        name = item.label.replace("@", "-")
        proposal = {"merged": name, "gguf": f"{name}.gguf", "adapter": f"{name}-lora.gguf"}.get(what, "")
        if what == "ollama":
            about = item.adapter.metadata
            stage.ask(
                AskDialog("Export to Ollama", "What the model is called there.", f"{about.name}:{about.version}"),
                partial(placed, what, base),
            )
        else:
            question = "A new folder." if what == "merged" else "A new file."
            stage.ask(AskDialog("Export", question, str(Path.cwd() / proposal)), partial(placed, what, base))

    def chosen(what: str) -> None:
        if what == "vllm":
            labels = tuple(one.label for one in marked) or (item.label,)
            stage.app.push_screen(PageDialog("vLLM", partial(_vllm, workspace, labels)))
        else:
            question = "Its base: a folder or a Hugging Face id on this machine."
            stage.ask(AskDialog("Export", question, _base([item])), partial(based, what))

    choices = [(name, f"{name:8} {about}") for name, about in _EXPORTS]
    stage.ask(ChooseDialog(f"Export {item.label} as", choices), chosen)


def _start_export(workspace: Workspace, label: str, what: str, base: str, output: str) -> Done:
    from lora_tui.adapters.exporting.asking import prepared

    kind = "gguf" if what == "adapter" else what
    wanted = Export(
        what=kind,  # type: ignore[arg-type]
        base="",
        output="" if kind == "ollama" else output,
        adapter_only=what == "adapter",
        model=output if kind == "ollama" else "",
    )
    job = prepared(workspace, wanted, label, base)
    supervisor.start(supervisor.create(workspace, job, f"{job.adapter_name} as {kind}"))
    return Done("", label)


def _vllm(workspace: Workspace, labels: Sequence[str]) -> str:
    from lora_tui.adapters.exporting.vllm import plan

    made = plan(workspace, labels)
    return "\n".join([*made.shown, "", *(f"note: {note}" for note in made.notes)])


def opencode(workspace: Workspace, adapters: Sequence[Adapter]) -> Proposed:
    """What opencode's settings for every project would become. Raises BadInput where they cannot be changed."""
    from lora_tui.adapters.wiring import places
    from lora_tui.adapters.wiring.apply import apply
    from lora_tui.adapters.wiring.difference import unified
    from lora_tui.adapters.wiring.plan import make
    from lora_tui.adapters.wiring.server import server
    from lora_tui.adapters.wiring.specialists import chosen, wanted_of

    found = server(workspace, "", [one.metadata.name for one in adapters])
    adapters = chosen(adapters, [], [])
    names = [one.metadata.name for one in adapters]
    notes = list(found.notes)
    if unserved := [name for name in names if found.names and name not in found.names]:
        notes.append(f"{', '.join(unserved)}: not among what is served now.")
    wanted, more = wanted_of(
        workspace,
        adapters,
        url=found.url,
        base_name=found.base_name,
        context=found.context,
        most=0 if found.context else found.most,
        auto=found.routes,
        served={name: found.served[name] for name in names if name in found.served},
    )
    plan = make(workspace, places.global_place(Path.cwd()), wanted)

    def write() -> Done:
        apply(workspace, plan, wanted, names)
        return Done(
            f"{', '.join(names)}: in {plan.place.config}. Start opencode anew; `opencode revert` takes it back."
        )

    return Proposed(unified(plan.changes), (*notes, *more, *plan.notes), write)


def _base(items: Sequence[Item]) -> str:
    bases = {item.adapter.metadata.base for item in items}
    if len(bases) > 1:
        raise BadInput("these were trained on different bases", fix="Mark those of one base.")
    return bases.pop()


def _command(stage: Stage, title: str, name: str, words: Sequence[str], after: After) -> None:
    stage.app.push_screen(CommandDialog(title, name, words, stage.shell.workspace), after)
