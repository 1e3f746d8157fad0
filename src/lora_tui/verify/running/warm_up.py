"""A few short questions asked alone: they warm an endpoint up, and tell later whether its answers stay its own."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from typing import TypeVar

from lora_tui.verify.asking import Ended, Endpoint, EndpointFault, Question
from lora_tui.verify.suites.suite import Suite

_PROMPTS, _TOKENS = 2, 32
_ATTEMPTS, _LONGEST = 4, 60.0  # of one question; seconds before it is asked again
_FEWEST, _SHARE = 8, 50  # asked again at least so often in a round, and once in so many questions

_T = TypeVar("_T")


class WarmUp:
    """Greedy answers of every side to the same few prompts, each asked while nothing else was under way.

    Asked again among other requests, a side may answer a little differently: batching moves ties. When it then says
    what another side said, and not what it said itself, the server has mixed them up.
    """

    def __init__(self, suite: Suite) -> None:
        short = sorted({case.prompt for case in suite.cases}, key=lambda text: (len(text), text))[:_PROMPTS]
        self._questions = [Question(prompt, max_tokens=_TOKENS) for prompt in short]
        self._said: dict[str, list[str]] = {}

    async def of(self, label: str, endpoint: Endpoint) -> float:
        """Ask them of one side, one after another; seconds that took. Raises EndpointFault."""
        begun = time.monotonic()
        self._said[label] = [await _text(endpoint, question) for question in self._questions]
        return time.monotonic() - begun

    def among(self, label: str, places: Sequence[_T], seed: int) -> list[_T | int]:
        """The places with numbers of its questions at random between them: those that tell this side from another."""
        telling = [number for number in range(len(self._questions)) if self._tells(label, number)]
        mixed: list[_T | int] = list(places)
        if telling and len(places) > 1:
            draw = random.Random(f"{seed} {label}")
            for turn in range(max(_FEWEST, len(places) // _SHARE)):
                mixed.insert(draw.randrange(1, len(mixed) + 1), telling[turn % len(telling)])
        return mixed

    async def again(self, label: str, number: int, endpoint: Endpoint) -> None:
        """Ask one of them among other requests. Raises EndpointFault "mixed-adapters"."""
        text = await _text(endpoint, self._questions[number])
        others = self._others(label)
        if text != self._said[label][number] and text in {said[number] for said in others.values()}:
            whose = next(other for other, said in others.items() if said[number] == text)
            raise EndpointFault(
                "mixed-adapters",
                f"{endpoint.name} answered as {whose} does, among other requests, and as itself when it was alone",
                fix="Serve the two by a process each, or ask one at a time with --concurrency 1.",
            )

    def _tells(self, label: str, number: int) -> bool:
        own = self._said.get(label)
        return own is not None and any(said[number] != own[number] for said in self._others(label).values())

    def _others(self, label: str) -> Mapping[str, list[str]]:
        return {other: said for other, said in self._said.items() if other != label}


async def _text(endpoint: Endpoint, question: Question) -> str:
    for attempt in range(_ATTEMPTS):
        try:
            return "".join([piece async for piece in endpoint.ask(question) if not isinstance(piece, Ended)])
        except EndpointFault as fault:
            if not fault.again or attempt == _ATTEMPTS - 1:
                raise
            await asyncio.sleep(min(1.0 if fault.wait is None else fault.wait, _LONGEST))
    raise AssertionError
