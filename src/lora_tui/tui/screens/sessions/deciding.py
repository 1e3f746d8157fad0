"""What a person decides, on its way into the workspace: written in order, on a thread of its own, then told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from textual.message import Message

from lora_tui.curation import examples, labels, queues
from lora_tui.curation.labels import Action, Undone
from lora_tui.curation.queues import Queue
from lora_tui.sources.model import Message as ChatMessage
from lora_tui.tui.screens.sessions import draft
from lora_tui.tui.screens.sessions.labeller import Labeller
from lora_tui.workspace.layout import Workspace


class DecisionWritten(Message):
    """A decision about these examples is in the workspace; in a queue, as the answer to `position`."""

    def __init__(self, ids: Sequence[int], position: int | None = None) -> None:
        super().__init__()
        self.ids = ids
        self.position = position


class DecisionUndone(Message):
    """The latest decision was taken back; None: there was none left."""

    def __init__(self, undone: Undone | None) -> None:
        super().__init__()
        self.undone = undone


class DecisionFailed(Message):
    """A decision could not be written."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class Decisions:
    """The pen of one person in one workspace. `post` takes the messages above."""

    def __init__(self, workspace: Workspace, author: str, post: Callable[[Message], object]) -> None:
        self._workspace = workspace
        self._author = author
        self._post = post
        self._labeller = Labeller(lambda error: post(DecisionFailed(error)))

    def close(self) -> None:
        """Finish writing."""
        self._labeller.close()

    def decide(
        self,
        identity: int,
        action: Action,
        value: str | None = None,
        *,
        seconds: float | None = None,
        queue: Queue | None = None,
        position: int = 0,
    ) -> None:
        """One decision about one example, or the answer to a queue's question."""

        def write() -> str:
            if queue is not None:
                return queues.decide(self._workspace, queue, position, action, value, seconds=seconds)
            return labels.decide(self._workspace, [identity], action, value, author=self._author, seconds=seconds)

        closes = position if queue is not None and action in labels.DECIDES else None
        self._put(write, lambda _: DecisionWritten([identity], closes))

    def flag(self, identity: int, seconds: float | None) -> None:
        """Flag it, or take the flag away: what it is is looked up when its turn comes."""

        def write() -> str:
            flagged = examples.rows(self._workspace, [identity])[0].flagged
            action: Action = "unflag" if flagged else "flag"
            return labels.decide(self._workspace, [identity], action, author=self._author, seconds=seconds)

        self._put(write, lambda _: DecisionWritten([identity]))

    def decide_all(self, ids: Sequence[int], action: Action, value: str | None = None) -> None:
        """One decision about many, which one undo takes back."""
        self._put(
            lambda: labels.decide(self._workspace, ids, action, value, author=self._author),
            lambda _: DecisionWritten(ids),
        )

    def edit(self, identity: int, messages: Sequence[ChatMessage]) -> None:
        """Record an edited version."""
        self._put(
            lambda: draft.store(self._workspace, identity, messages, self._author),
            lambda _: DecisionWritten([identity]),
        )

    def then(self, told: Callable[[], object]) -> None:
        """Call back, on the writing thread, when everything before is written."""
        self._labeller.put(told, lambda _: None)

    def undo(self) -> None:
        """Take back the latest decision."""
        self._put(lambda: labels.undo(self._workspace, self._author), DecisionUndone)

    def _put(self, write: Callable[[], Any], told: Callable[[Any], Message]) -> None:
        self._labeller.put(write, lambda result: self._post(told(result)))
