"""One side's questions, as many under way at once as its endpoint takes; every answer is checked as it comes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import msgspec

from lora_tui.jobs.journal import Answer, AnswerDelta, AnyEvent, Check, Fault
from lora_tui.verify.asking import VOIDING, Ended, Endpoint, EndpointFault, Question, Sampling
from lora_tui.verify.running.kept import Kept
from lora_tui.verify.running.order import Place
from lora_tui.verify.running.slots import Slots
from lora_tui.verify.running.warm_up import WarmUp
from lora_tui.verify.suites.suite import Case
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.keys import hidden, hidden_so_far

Checker = Callable[[Case, str, float], Awaitable[tuple[Check, ...]]]
Write = Callable[[AnyEvent], None]

_PIECE_SECONDS = 0.2  # a delta is journalled at most this often
_ATTEMPTS, _REFUSALS = 3, 8  # of one question; of one that comes too early
_PAUSE, _LONGEST = 0.25, 60.0  # seconds before it is asked again, doubled each time
_LOOK = 0.25  # seconds between looks whether it is to stop
_GIVE_UP = 5  # answers in a row that could not be had


class Lane:
    """Asks one endpoint."""

    def __init__(
        self,
        side: str,
        endpoint: Endpoint,
        slots: Slots,
        cases: Sequence[Case],
        sampling: Sampling,
        kept: Kept,
        warm_up: WarmUp,
        check: Checker,
        write: Write,
        is_stopped: Callable[[], bool],
    ) -> None:
        self._side, self._endpoint, self.slots = side, endpoint, slots
        self._cases, self._sampling, self._kept, self._warm_up = cases, sampling, kept, warm_up
        self._check, self._write, self._is_stopped = check, write, is_stopped
        self._failed = 0  # answers in a row
        self._in_flight = 0
        self.at_once = 0  # the most that were under way

    async def ask(self, places: Sequence[Place]) -> bool:
        """Ask them all; False when it was stopped before. What is under way then is answered to its end.

        Raises EndpointFault for what voids every answer, and where the endpoint stopped answering at all.
        """
        waiting = self._warm_up.among(self._side, places, self._sampling.seed)
        waiting.reverse()
        asked: set[asyncio.Task[None]] = set()
        checking: set[asyncio.Task[None]] = set()
        self._in_flight = 0
        try:
            while waiting or asked:
                grows = self.slots.limit > self._in_flight
                while waiting and len(asked) < self.slots.limit and not self._is_stopped():
                    position = len(asked) + 1 if grows else 0
                    asked.add(asyncio.create_task(self._one(waiting.pop(), position, checking)))
                    self.at_once = max(self.at_once, len(asked))
                if not asked:
                    break
                self._in_flight = len(asked)
                done, asked = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            for task in list(checking):
                await task
        finally:
            await _end(asked)
            await asyncio.gather(*checking, return_exceptions=True)  # these were answered
        return not waiting

    async def _one(self, place: Place | int, position: int, checking: set[asyncio.Task[None]]) -> None:
        """`position`: of those that come on top of what is in flight; 0: one ended and left it its place."""
        if isinstance(place, int):
            try:
                await self._warm_up.again(self._side, place, self._endpoint)
            except EndpointFault as fault:
                if fault.code in VOIDING:
                    self._void(fault)
                self._write(Fault(side=self._side, code=fault.code, message=fault.what))
            return
        answer = await self._answer(place, position)
        task = asyncio.create_task(self._finish(place, answer))
        checking.add(task)

        def checked(ended: asyncio.Task[None]) -> None:
            if not ended.cancelled() and ended.exception() is None:
                checking.discard(ended)  # else it stays, for who waits for it

        task.add_done_callback(checked)
        if not answer.error:
            self.slots.answered()

    async def _finish(self, place: Place, answer: Answer) -> None:
        if not answer.error:
            case = self._cases[place.prompt]
            checks = await self._check(case, answer.text, answer.seconds)
            answer = msgspec.structs.replace(answer, checks=checks, threshold=case.threshold)
        self._write(answer)

    async def _answer(self, place: Place, position: int) -> Answer:
        """The answer, kept or asked for; with its error where it could not be had."""
        case = self._cases[place.prompt]
        question = Question(
            case.prompt,
            self._sampling.max_tokens,
            self._sampling.temperature,
            self._sampling.seed_of(case.prompt, place.sample),
        )
        kept = None if case.is_timed else self._kept.find(question)  # its time is of another day
        if kept is not None:
            return msgspec.structs.replace(
                kept, prompt=place.prompt, side=place.side, sample=place.sample, cached=True, time=0.0
            )
        said = ""
        attempt = 0
        while True:
            attempt += 1
            try:
                found = await self._attempt(place, question, position)
            except EndpointFault as fault:
                if fault.code in VOIDING:
                    self._void(fault)
                most = _REFUSALS if fault.code == "rate-limited" else _ATTEMPTS
                if fault.code == "rate-limited":
                    self.slots.refused()
                if not fault.again or attempt >= most or self._is_stopped():
                    return self._lost(place, fault, attempt)
                said = fault.code
                pause = _PAUSE * 2 ** (attempt - 1) if fault.wait is None else fault.wait
                await self._wait(min(pause, _LONGEST))
                continue
            self._failed = 0
            found = msgspec.structs.replace(
                found, attempts=attempt, fault=said or ("no-usage" if found.counted else "")
            )
            self._kept.keep(question, found)
            return found

    async def _wait(self, seconds: float) -> None:
        """Wait so long, or until it is to stop."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self._is_stopped():
            await asyncio.sleep(min(left, _LOOK))

    def _lost(self, place: Place, fault: EndpointFault, attempts: int) -> Answer:
        self._failed += not self._is_stopped()  # stopped, it is not tried as often
        if self._failed >= _GIVE_UP:
            raise LoraTuiError(
                f"{_GIVE_UP} answers in a row could not be had: {fault.what}",
                where=fault.where or self._endpoint.name,
                fix=fault.fix or "When it answers again, go on with `lora-tui runs resume`.",
            )
        return Answer(
            prompt=place.prompt,
            side=place.side,
            sample=place.sample,
            text="",
            error=fault.what,
            fault=fault.code,
            attempts=attempts,
            stopped=False,
        )

    async def _attempt(self, place: Place, question: Question, position: int) -> Answer:
        begun = time.monotonic()
        begun_with = position or self._in_flight
        text, shown, first, told = "", 0, 0.0, 0.0
        stream = self._endpoint.ask(question)
        async with _closing(stream):
            async for piece in stream:
                seconds = time.monotonic() - begun
                if isinstance(piece, Ended):
                    return Answer(
                        prompt=place.prompt,
                        side=place.side,
                        sample=place.sample,
                        text=hidden(text),
                        tokens=piece.tokens,
                        prompt_tokens=piece.prompt_tokens,
                        counted=piece.counted,
                        first_token_seconds=first or seconds,
                        seconds=seconds,
                        queued_seconds=piece.queued or 0.0,
                        stopped=piece.stopped,
                        load=(begun_with, self._in_flight),
                    )
                text += piece
                first = first or seconds
                if seconds - told >= _PIECE_SECONDS:
                    safe = hidden_so_far(text)
                    self._write(
                        AnswerDelta(prompt=place.prompt, side=place.side, sample=place.sample, text=safe[shown:])
                    )
                    shown, told = len(safe), seconds
        raise EndpointFault("cut-off", f"{self._endpoint.name} ended its answer without saying so", again=True)

    def _void(self, fault: EndpointFault) -> None:
        self._write(Fault(side=self._side, code=fault.code, message=fault.what, voids=True))
        raise fault


@contextlib.asynccontextmanager
async def _closing(stream: object) -> AsyncIterator[None]:
    try:
        yield
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()


async def _end(tasks: set[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
