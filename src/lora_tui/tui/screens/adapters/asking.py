"""What is asked before something is done with a version."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from lora_tui.adapters import removal
from lora_tui.tui.screens.adapters import tasks
from lora_tui.tui.screens.adapters.opened import Opened
from lora_tui.tui.screens.adapters.shelf import Item
from lora_tui.tui.screens.adapters.tasks import Task
from lora_tui.tui.screens.dialogs.ask import AskDialog
from lora_tui.tui.screens.dialogs.choose import ChooseDialog
from lora_tui.tui.screens.dialogs.confirm import ConfirmDialog
from lora_tui.tui.stage import Stage
from lora_tui.workspace.errors import BadInput

Begin = Callable[[str, Task], None]  # (what is done, how)
_TAGS, _OTHER, _DROP = "tags", "other", "drop:"
_OFFERED = (
    ("candidate", "the one that may become production"),
    ("standby", "the one to go back to"),
    ("production", "what is served; p promotes with a look at it first"),
)


def alias(stage: Stage, item: Item, tags: Sequence[str], begin: Begin) -> None:
    """Ask which name is to point to the version, or which to take away, or for its tags."""
    workspace, adapter = stage.shell.workspace, item.adapter

    def named(name: str) -> None:
        question = f"{name} will be {item.label}. Why? The history keeps it; it may stay empty."
        point = partial(tasks.point, workspace, adapter, name)
        stage.ask(
            AskDialog("Alias", question, may_be_empty=True),
            lambda why: begin(f"pointing {name}", partial(point, why)),
        )

    def chosen(value: str) -> None:
        if value == _TAGS:
            question = f"What {item.label} is for, with commas between."
            retag = partial(tasks.retag, workspace, adapter)
            stage.ask(
                AskDialog("Tags", question, ", ".join(tags), may_be_empty=True),
                lambda typed: begin("tagging", partial(retag, typed)),
            )
        elif value == _OTHER:
            stage.ask(AskDialog("Alias", "Lower-case letters, digits, '-' and '_'."), named)
        elif value.startswith(_DROP):
            name = value.removeprefix(_DROP)
            begin(f"dropping {name}", partial(tasks.drop, workspace, adapter, name, ""))
        else:
            named(value)

    choices = [(name, f"{name:12} {what}") for name, what in _OFFERED if name not in item.aliases]
    choices += [(_OTHER, "another alias …"), (_TAGS, "its tags …")]
    choices += [(_DROP + name, f"{name} no longer") for name in item.aliases]
    stage.ask(ChooseDialog(f"What points to {item.label}", choices), chosen)


def remove(stage: Stage, item: Item, begin: Begin) -> None:
    """Ask whether it may go, and why."""
    workspace = stage.shell.workspace
    after = removal.descendants(workspace, item.label)
    text = f"The files of {item.label} are deleted. Its number is never given again."
    if item.aliases:
        text += (
            f"\n\n{' and '.join(item.aliases)} {'point' if item.aliases[1:] else 'points'} to it and will be dropped."
        )
    if after:
        text += f"\n\n{', '.join(after)} came from it and {'stay as they are' if after[1:] else 'stays as it is'}."

    def agreed(yes: bool) -> None:
        stage.ask(
            AskDialog(f"Remove {item.label}", "Why? It may stay empty.", may_be_empty=True),
            lambda why: begin(f"removing {item.label}", partial(tasks.remove, workspace, item.label, why)),
        )

    stage.ask(ConfirmDialog(f"Remove {item.label}?", text, "remove"), agreed)


def take(stage: Stage, begin: Begin) -> None:
    """Ask for a folder or an archive, then for a name."""
    question = "An adapter in PEFT layout: a folder, a .zip or .tar of one, or a Together download. It is copied."

    def placed(text: str) -> None:
        path = Path(text).expanduser()
        if not path.exists():
            raise BadInput("there is no such file or folder", where=str(path), fix="Give what is to be taken in.")
        name = "Its name here, or NAME@VERSION. Empty: the one it brings along, and the next version."
        stage.ask(
            AskDialog("Import an adapter", name, may_be_empty=True),
            lambda typed: begin(f"taking in {path.name}", partial(tasks.take, stage.shell.workspace, path, typed)),
        )

    stage.ask(AskDialog("Import an adapter", question), placed)


def tags_of(opened: Opened | None, item: Item) -> tuple[str, ...]:
    """The tags that are shown now."""
    return opened.tags if opened is not None and opened.item.label == item.label else item.adapter.metadata.tags
