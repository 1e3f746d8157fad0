"""What is asked of an endpoint and what it says: the words between a verification run and whoever answers."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from typing import Literal, Protocol

import msgspec

from lora_tui.workspace.errors import LoraTuiError

FaultCode = Literal[
    "wrong-model",  # another model answers than the one asked for
    "mixed-adapters",  # answers of one side come out of the other's adapter
    "no-effect",  # an adapter that answers as its base does, word for word
    "truncated-prompt",  # the model saw less of the prompt than was sent
    "rate-limited",  # 429, and still after waiting
    "refused",  # an HTTP error that says no
    "unreachable",  # nothing answers there
    "cut-off",  # the stream broke off in the middle of an answer
    "malformed",  # what came is no answer by any reading
    "no-usage",  # the server does not count tokens: they were counted here
    "hang",  # nothing came for too long
]
# Of these an answer is worth nothing, and a comparison that holds one has no verdict.
VOIDING: frozenset[FaultCode] = frozenset({"wrong-model", "mixed-adapters", "truncated-prompt"})
_SEEDS = 2**31  # Ollama and llama.cpp read 32 bits


class EndpointFault(LoraTuiError):
    """An endpoint did not do what was asked.

    `again`: asking once more may help, after `wait` seconds where it says so.
    """

    def __init__(
        self,
        code: FaultCode,
        what: str,
        *,
        where: str = "",
        fix: str = "",
        again: bool = False,
        wait: float | None = None,
    ) -> None:
        super().__init__(what, where=where, fix=fix)
        self.code: FaultCode = code
        self.again = again
        self.wait = wait


class Sampling(msgspec.Struct, frozen=True):
    """How answers are drawn. Temperature 0 is greedy."""

    temperature: float = 0.0
    max_tokens: int = 256
    seed: int = 0

    def seed_of(self, prompt: str, sample: int) -> int:
        """What a sample of a prompt is drawn with, alike on every side; samples of a prompt have consecutive ones.

        Every prompt begins elsewhere. With one seed for all they would be drawn by the same numbers and be lucky
        together, where the statistics count on prompts that know nothing of each other.
        """
        return (self.seed + zlib.crc32(prompt.encode()) + sample) % _SEEDS


class Question(msgspec.Struct, frozen=True):
    """One chat to answer."""

    prompt: str
    max_tokens: int = 256
    temperature: float = 0.0
    seed: int = 0


class Ended(msgspec.Struct, frozen=True):
    """The end of an answer, as far as the endpoint tells it."""

    tokens: int  # generated
    finish: str  # "stop": the model ended it; "length": cut at max_tokens; else the server's word
    prompt_tokens: int = 0  # 0: not told
    counted: bool = False  # the tokens were counted here, because the server does not tell
    model: str = ""  # that the server says has answered
    queued: float | None = None  # seconds before it began, where the server tells
    generating: float | None = None  # seconds it generated for, where the server tells

    @property
    def stopped(self) -> bool:
        """Whether the model ended it itself."""
        return self.finish == "stop"


class Identity(msgspec.Struct, frozen=True):
    """Who really answers, as far as the server shows. Found before the first question."""

    engine: str  # "vllm", "llama.cpp", "ollama", "together", "transformers", "openai"
    model: str  # the name it is asked for by
    version: str = ""  # the engine's
    digest: str = ""  # of everything that determines an answer, where that can be known; empty: nothing is kept of it
    proven: bool = True  # the server names the model it has; not: it answers to any name, or shows nothing
    served: tuple[str, ...] = ()  # every name it serves
    slots: int = 0  # requests it says it answers at once; 0: not told
    pid: int = 0  # of its process on this machine; 0: elsewhere, or not known
    notes: tuple[str, ...] = ()  # for people: what to know about comparing with it


class Endpoint(Protocol):
    """Something that answers. Methods run in one event loop; any number of `ask` may be under way at once."""

    name: str  # as typed
    address: str  # of the server that answers: sides that have the same are answered by one

    async def identify(self) -> Identity:
        """Who answers. Raises EndpointFault: "wrong-model" where it is not the one asked for, "unreachable"."""
        ...

    def ask(self, question: Question) -> AsyncIterator[str | Ended]:
        """Pieces of the answer as they come, and at last an Ended. Raises EndpointFault."""
        ...

    async def close(self) -> None:
        """Let go of processes and connections."""
        ...
