"""An endpoint that answers what a test says, in the test's own process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from lora_tui.verify.asking import Ended, EndpointFault, Identity, Question

Answer = Callable[[Question], str | EndpointFault]


class Scripted:
    """Answers word by word; remembers what it was asked and how many questions were under way at most."""

    def __init__(
        self, name: str, answer: Answer, *, seconds: float = 0.0, places: int = 0, digest: str = "", slots: int = 0
    ) -> None:
        self.name, self._answer, self._seconds = name, answer, seconds
        self.address = name
        self.asked: list[Question] = []
        self.under_way = self.at_once = 0
        self._places = asyncio.Semaphore(places) if places else None
        self.digest, self._slots = digest, slots
        self.engine, self.pid = "scripted", 0

    async def identify(self) -> Identity:
        """As it was said."""
        return Identity(self.engine, self.name, digest=self.digest, slots=self._slots, pid=self.pid)

    async def ask(self, question: Question) -> AsyncIterator[str | Ended]:
        """The words of the answer."""
        self.asked.append(question)
        self.under_way += 1
        self.at_once = max(self.at_once, self.under_way)
        try:
            if self._places is None:
                await asyncio.sleep(self._seconds)
            else:
                async with self._places:
                    await asyncio.sleep(self._seconds)
            found = self._answer(question)
            if isinstance(found, EndpointFault):
                raise found
            words = found.split(" ")
            for number, word in enumerate(words):
                yield word if number == len(words) - 1 else f"{word} "
            yield Ended(tokens=len(words), finish="stop", prompt_tokens=len(question.prompt.split()))
        finally:
            self.under_way -= 1

    async def close(self) -> None:
        """Nothing to let go of."""
