"""From candidates to stored examples: ask, check, store, one after the other and several at a time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec

from lora_tui.curation.augment import checks
from lora_tui.curation.augment.asking import Model, NoAnswer, Spent
from lora_tui.curation.augment.candidate import Candidate
from lora_tui.curation.augment.candidates import find, missing_names, placed
from lora_tui.curation.augment.funnel import Funnel
from lora_tui.curation.augment.placing import NoPlace
from lora_tui.curation.augment.preparing import Prepared
from lora_tui.curation.augment.requests import (
    TEMPLATE,
    Chat,
    Rated,
    Reply,
    as_rating,
    as_reply,
    asks_again,
    asks_for_rating,
    asks_for_request,
    offline,
)
from lora_tui.curation.augment.store import Settled, settle, store
from lora_tui.curation.augment.table import table
from lora_tui.curation.redact import redact_text
from lora_tui.curation.suites import Suites
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace

# Why a request did not pass, in the order they are asked.
NO_ANSWER = "no answer"
NO_REPLY = "the reply is not what was asked for"
WORDING = "too short or too long a request"
LEAK = "gives the answer away"
NAMES = "uses names that nobody gives"
UNPARSED = "the answer does not parse"
UNRATED = "the rating is not what was asked for"
SUITE = "like a verification prompt"
UNDECIDED = "broken off"  # asked, but stopped before its end

_HOPELESS = 3  # candidates in a row without an answer, before the first one that gets one

Advance = Callable[[int, int, str], None]

_Answer = TypeVar("_Answer", Reply, Rated)


class Outcome(msgspec.Struct, frozen=True):
    """What an augmentation did. `stopped` says why it ended before it had enough; '' when it did not."""

    funnel: Funnel
    settled: Settled
    stopped: str
    causes: dict[str, int]  # of missing answers


class _Failed(Exception):
    """A check that was not passed, by its reason."""


class Augmentation:
    """One run over prepared candidates. What is stored stays stored, however it ends."""

    def __init__(
        self, workspace: Workspace, prepared: Prepared, count: int, model: Model | None, advance: Advance | None = None
    ) -> None:
        """Without a model the requests come from templates."""
        self._workspace = workspace
        self._prepared = prepared
        self._funnel = prepared.funnel
        self._count = count
        self._model = model
        self._advance = advance or (lambda *_: None)
        self._suites = Suites(workspace)
        self._causes: Counter[str] = Counter()
        self._answered = False
        self._stopped = ""

    def run(self, concurrency: int = 4) -> Outcome:
        """Work until `count` are stored, nothing is left, the budget is spent or a person interrupts.

        Raises LoraTuiError when the endpoint cannot be used; what was stored before is kept and settled.
        """
        try:
            if self._model is None:
                self._offline()
            else:
                asyncio.run(self._ask_all(self._model, concurrency))
        except KeyboardInterrupt:
            self._stopped = "interrupted"
        finally:
            self._prepared.stop()
            for _ in range(self._funnel.open):
                self._funnel.fail(UNDECIDED)
            settled = settle(self._workspace, self._prepared.language)
        return Outcome(self._funnel, settled, self._stopped, dict(self._causes))

    def _wanted(self) -> Iterator[Candidate]:
        """The next candidates, at most so many as may be tried."""
        most = table().limits.tries * self._count
        for candidate in self._prepared.draw():
            yield candidate
            if self._funnel.tried >= most:
                return

    def _offline(self) -> None:
        wanted = self._wanted()
        while self._funnel.stored < self._count and (candidate := next(wanted, None)) is not None:
            request, fit = offline(candidate)
            try:
                candidate = self._checked(candidate, Reply("", request), forgiving=True)
                self._against_suites(request)
            except _Failed as failed:
                self._funnel.fail(str(failed))
            else:
                self._keep(candidate, request, TEMPLATE, fit)

    async def _ask_all(self, model: Model, concurrency: int) -> None:
        wanted = self._wanted()
        running: set[asyncio.Task[None]] = set()
        try:
            async with model:
                while True:
                    while not self._stopped and len(running) < min(concurrency, self._count - self._funnel.stored):
                        candidate = next(wanted, None)
                        if candidate is None:
                            break
                        running.add(asyncio.create_task(self._one(model, candidate)))
                    if not running:
                        return
                    done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                    errors = [error for task in done if (error := task.exception()) is not None]
                    if errors:
                        raise errors[0]
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _one(self, model: Model, candidate: Candidate) -> None:
        """One candidate from the question to the store; every way out is counted."""
        try:
            reply = await self._request(model, candidate)
            candidate = self._checked(candidate, reply)
            rated = await self._rating(model, candidate, reply.prompt)
            self._against_suites(reply.prompt)
        except _Failed as failed:
            self._funnel.fail(str(failed))
        except Spent as error:
            self._stopped = str(error)  # what is under way is paid for, and goes on
        except NoAnswer as error:
            self._funnel.fail(NO_ANSWER)
            self._causes[str(error)] += 1
            if not self._answered and self._funnel.failed[NO_ANSWER] >= _HOPELESS:
                raise LoraTuiError(
                    f"{model.name} does not answer: {error}", where=model.url, fix="Is the server running? Try again."
                ) from error
        else:
            self._keep(candidate, reply.prompt, model.name, rated.rating)

    async def _request(self, model: Model, candidate: Candidate) -> Reply:
        rules = table()
        chat = asks_for_request(candidate)
        return await self._read(model, chat, rules.asking.max_tokens, as_reply, rules.prompt.again, NO_REPLY)

    async def _rating(self, model: Model, candidate: Candidate, request: str) -> Rated:
        rules = table()
        chat = asks_for_rating(candidate, request)
        return await self._read(model, chat, rules.asking.rating_max_tokens, as_rating, rules.rating.again, UNRATED)

    async def _read(
        self,
        model: Model,
        chat: Chat,
        max_tokens: int,
        read: Callable[[str], _Answer | None],
        again: str,
        failure: str,
    ) -> _Answer:
        """What `read` makes of the answer; asked once more, in the words of `again`, where that is nothing."""
        said = await self._said(model, chat, max_tokens)
        answer = read(said)
        if answer is None:
            answer = read(await self._said(model, asks_again(chat, said, again), max_tokens))
        if answer is None:
            raise _Failed(failure)
        return answer

    async def _said(self, model: Model, chat: Chat, max_tokens: int) -> str:
        text = (await model.ask(chat, max_tokens)).text
        self._answered = True
        return text

    def _checked(self, candidate: Candidate, reply: Reply, *, forgiving: bool = False) -> Candidate:
        """The candidate, with the context it needs, when the request passes. Raises _Failed.

        forgiving: the request is the code's own doc comment, which may name what the body names.
        """
        if not forgiving and checks.worded_badly(reply.prompt):
            raise _Failed(WORDING)
        if checks.leaks(candidate, reply.prompt, reply.forbidden):
            raise _Failed(LEAK)
        if reply.needs_context or checks.lacks_names(candidate, reply.prompt):
            candidate = self._with_context(candidate, reply)
        if checks.lacks_names(candidate, reply.prompt):
            raise _Failed(NAMES)
        if checks.unparsed(candidate):
            raise _Failed(UNPARSED)
        return candidate

    def _with_context(self, candidate: Candidate, reply: Reply) -> Candidate:
        """The candidate with the definitions shown that its answer needs, as far as the project has them."""
        project = self._prepared.projects.get(candidate.directory)
        definition = find(project, candidate) if project is not None else None
        if project is None or definition is None:
            return candidate
        names = missing_names(candidate, reply.prompt) | (set(reply.needs_context) & candidate.names)
        others = [one for one in candidate.placed.shown if one.path != candidate.path]
        try:
            found = placed(project, candidate.path, definition, names, others if candidate.kind == "test" else ())
        except NoPlace:
            return candidate
        if redact_text(found.context)[1]:  # what lies between definitions is shown with them
            return candidate
        return msgspec.structs.replace(candidate, placed=found)

    def _against_suites(self, request: str) -> None:
        if self._suites.like(request):
            raise _Failed(SUITE)

    def _keep(self, candidate: Candidate, request: str, model: str, fit: int) -> None:
        store(self._workspace, candidate, request, model, fit)
        if fit >= table().limits.fit_least:
            self._funnel.kept += 1
        else:
            self._funnel.low += 1
        self._advance(self._funnel.stored, self._count, candidate.label)
