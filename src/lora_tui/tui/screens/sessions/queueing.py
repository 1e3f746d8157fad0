"""The dialog that freezes a list as a queue, goes on with one, or asks for a second opinion."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lora_tui.curation import agreement, queues
from lora_tui.curation.queues import Queue
from lora_tui.tui.safe_text import one_line
from lora_tui.tui.screens.dialogs.ask import AskDialog
from lora_tui.tui.screens.dialogs.choose import ChooseDialog
from lora_tui.tui.screens.sessions.filters import View
from lora_tui.tui.wording import many
from lora_tui.workspace.errors import LoraTuiError

if TYPE_CHECKING:
    from textual.app import App

    from lora_tui.workspace.layout import Workspace

_NONE, _NEW, _SECOND = "\0none", "\0new", "\0second "


def choose_queue(
    app: App[Any],
    workspace: Workspace,
    author: str,
    view: View,
    shown: int,
    now: Queue | None,
    chosen: Callable[[Queue | None], None],
    failed: Callable[[LoraTuiError], None],
) -> None:
    """`chosen` gets the queue to work on, or None for the plain list. `shown`: examples the filter shows."""
    known = queues.listed(workspace, author)

    def make(create: Callable[[str], Queue]) -> Callable[[str | None], None]:
        def named(name: str | None) -> None:
            if name is None:
                return
            try:
                chosen(create(name))
            except LoraTuiError as error:
                failed(error)

        return named

    def answered(choice: str | None) -> None:
        if choice == _NONE:
            chosen(None)
        elif choice == _NEW:
            question = f"{many(shown, 'example')} in the order shown; 5 % of your earlier decisions are asked again."
            create = make(lambda name: queues.create(workspace, name, view.filter, view.order, author=author))
            app.push_screen(AskDialog("New queue", f"{question} Its name:", _name(view, known)), create)
        elif choice is not None and choice.startswith(_SECOND):
            first = choice.removeprefix(_SECOND)
            create = make(lambda name: queues.create_overlap(workspace, name, first, author=author, filter=view.filter))
            question = f"What {first} decided, without showing how. Thirty answers give a kappa. Its name:"
            app.push_screen(AskDialog("Second opinion", question, _unused("overlap", known)), create)
        elif choice is not None:
            chosen(next(queue for queue in known if str(queue.id) == choice))

    choices = [(str(queue.id), f"{one_line(queue.name)}  {queue.left:,} left of {queue.total:,}") for queue in known]
    choices += [(_NEW, f"freeze what this filter shows ({shown:,}) …")] if shown else []
    others = [name for name in agreement.authors(workspace) if name != author]
    choices += [(_SECOND + name, f"a second opinion on what {one_line(name)} decided …") for name in others]
    choices += [(_NONE, "no queue: the whole list")] if now is not None else []
    app.push_screen(ChooseDialog("Queue", choices, str(now.id) if now else ""), answered)


def _name(view: View, known: list[Queue]) -> str:
    return _unused("-".join(view.filter.languages) or "all", known)


def _unused(stem: str, known: list[Queue]) -> str:
    taken = {queue.name for queue in known}
    return next(name for number in range(1, len(taken) + 2) if (name := f"{stem}-{number}") not in taken)
