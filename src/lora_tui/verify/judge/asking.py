"""A judge: any endpoint that reads what it is asked to judge. It stays silent rather than guess."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from typing import Protocol, TypeVar

from lora_tui.jobs.journal import Answer
from lora_tui.verify.asking import Ended, Endpoint, EndpointFault, Identity, Question
from lora_tui.verify.judge.reading import Unreadable
from lora_tui.verify.running.kept import Kept
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.keys import hidden

AT_ONCE = 4  # questions under way, where the endpoint does not say that it takes fewer
TOKENS = 1024  # of a reply, thoughts included
PATIENCE = 900.0  # seconds for a whole reply, the loading of the model included
_ATTEMPTS = 3
_LONGEST = 60.0  # seconds before it is asked again
_GIVE_UP = 5  # silences in a row, after which it is asked no more

_T = TypeVar("_T")


class Silent(LoraTuiError):
    """The judge gave no verdict; what it was asked is not judged."""


class Judge:
    """One endpoint as a judge, greedily. Replies are kept where its weights can be told apart from others."""

    def __init__(
        self,
        endpoint: Endpoint,
        identity: Identity,
        kept: Kept | None = None,
        *,
        at_once: int = 0,
        patience: float = PATIENCE,
    ) -> None:
        self.endpoint, self.identity, self._kept, self._patience = endpoint, identity, kept, patience
        self.at_once = at_once or min(AT_ONCE, identity.slots or AT_ONCE)
        self._places = asyncio.Semaphore(self.at_once)
        self._silences = 0  # in a row
        self._last = ""

    async def verdict(self, question: str, read: Callable[[str], _T]) -> _T:
        """What `read` makes of the reply. Raises Silent where none came in time, or none that `read` takes."""
        asked = Question(question, max_tokens=TOKENS)
        kept = self._kept.find(asked) if self._kept else None
        if kept is not None:
            return _read(read, kept.text, kept.stopped)
        async with self._places:
            if self._silences >= _GIVE_UP:
                raise Silent(f"the judge stopped answering: {self._last}")
            try:
                text, ended = await self._reply(asked)
            except EndpointFault as fault:
                self._silences += 1
                self._last = fault.what
                raise Silent(f"the judge does not answer: {fault.what}", where=fault.where, fix=fault.fix) from fault
            self._silences = 0
        found = _read(read, text, ended.stopped)
        if self._kept:
            answer = Answer(prompt=0, side="judge", text=text, tokens=ended.tokens, stopped=ended.stopped)
            self._kept.keep(asked, answer)
        return found

    async def _reply(self, asked: Question) -> tuple[str, Ended]:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                async with asyncio.timeout(self._patience), aclosing(_pieces(self.endpoint, asked)) as pieces:
                    text = ""
                    async for piece in pieces:
                        if isinstance(piece, Ended):
                            return hidden(text), piece
                        text += piece
                raise EndpointFault("cut-off", f"{self.endpoint.name} ended its answer without saying so", again=True)
            except TimeoutError:
                what = f"{self.endpoint.name} said nothing whole for {self._patience:g} s"
                raise EndpointFault("hang", what) from None
            except EndpointFault as fault:
                if not fault.again or attempt == _ATTEMPTS:
                    raise
                await asyncio.sleep(min(0.25 * 2**attempt if fault.wait is None else fault.wait, _LONGEST))
        raise AssertionError


async def _pieces(endpoint: Endpoint, asked: Question) -> AsyncGenerator[str | Ended, None]:
    stream = endpoint.ask(asked)
    try:
        async for piece in stream:
            yield piece
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()


def _read(read: Callable[[str], _T], text: str, stopped: bool) -> _T:
    try:
        return read(text)
    except Unreadable as error:
        cut = "" if stopped else f" (its reply was cut at {TOKENS} tokens)"
        raise Silent(f"{error.what}{cut}") from error


class Known(Protocol):
    """What is known of who answers."""

    @property
    def engine(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def digest(self) -> str: ...


def same_as(judge: Known, endpoint: str, sides: Iterable[tuple[str, str, Known | None]]) -> str:
    """The label of a side that the judge is, as far as can be seen; empty where it is none of them.

    `sides`: label, endpoint as typed, who answers. A judge favours answers of its own (Panickssery et al. 2024).
    """
    for label, typed, side in sides:
        same_weights = side is not None and bool(judge.digest) and judge.digest == side.digest
        same_name = side is not None and bool(judge.model) and (judge.engine, judge.model) == (side.engine, side.model)
        if typed == endpoint or same_weights or same_name:
            return label
    return ""


def warning(label: str) -> str:
    """Said of a judge that is one of the compared models."""
    return f"the judge is the {label} model itself: models favour their own answers"
