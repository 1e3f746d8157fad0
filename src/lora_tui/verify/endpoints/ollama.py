"""Ollama by its own /api/chat, which tells how long a request waited, loaded and generated.

The context length is sent with each request and always the same: left out, Ollama takes one by the machine's memory
and cuts longer prompts without a word. `truncate` and `shift` false make newer ones refuse instead. API of v0.33.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from lora_tui.verify.asking import Ended, EndpointFault, Identity, Question
from lora_tui.verify.endpoints import ollama_facts
from lora_tui.verify.endpoints.chat import messages
from lora_tui.verify.endpoints.lines import Lines, TooLong
from lora_tui.verify.endpoints.ollama_facts import Facts
from lora_tui.verify.endpoints.refusals import refused
from lora_tui.verify.endpoints.server import Server
from lora_tui.verify.endpoints.truncation import Watch
from lora_tui.workspace.keys import hidden

# A model's file may set any of these, and Ollama's own are 40, 0.9, 0 and 1.1.
_PLAIN = {"top_k": 0, "top_p": 1.0, "min_p": 0.0, "repeat_penalty": 1.0}
_LONG_TOKEN = 256  # characters


class _Message(msgspec.Struct):
    content: str | None = None
    thinking: str | None = None


class _Line(msgspec.Struct):
    """Durations in ns; what is 0 is left out."""

    model: str = ""
    message: _Message | None = None
    done: bool = False
    done_reason: str = ""
    total_duration: int = 0
    load_duration: int = 0
    prompt_eval_count: int = 0
    prompt_eval_duration: int = 0
    eval_count: int = 0
    eval_duration: int = 0
    error: Any = None


_DECODE = msgspec.json.Decoder(_Line).decode


class Ollama:
    """An `Endpoint`."""

    def __init__(self, name: str, server: Server, model: str) -> None:
        self.name, self.address = name, server.address
        self._server, self._model = server, model
        self._facts: Facts | None = None
        self._watch = Watch(whole_counts=False)  # tokens that it has cached may be left out

    async def identify(self) -> Identity:
        """Who answers. Raises EndpointFault: "wrong-model", "unreachable"."""
        self._facts = await ollama_facts.facts(self._server, self._model)
        return self._facts.identity

    async def ask(self, question: Question) -> AsyncIterator[str | Ended]:
        """Pieces of the answer as they come, and at last an Ended. Raises EndpointFault."""
        if self._facts is None:
            await self.identify()
        assert self._facts is not None
        context = self._facts.context
        least = self._watch.least(question.prompt)
        if least > context:
            raise self._cut(f"it has at least {least} tokens, and the context {context}")
        most = _LONG_TOKEN * (question.max_tokens + 64)
        pieces = characters = 0
        last: _Line | None = None
        async with self._server.request("POST", "/api/chat", self._body(question, context), self._first) as reply:
            if reply.status != 200:
                raise self._refused(reply.status, reply.headers, await reply.read())
            async for line in self._lines(reply.chunks()):
                if line.error:
                    raise self._told(str(line.error), pieces)
                if line.model and line.model not in (self._model, f"{self._model}:latest"):
                    raise self._server.fault("wrong-model", f"answers with {line.model} in place of {self._model}")
                text = (line.message.content if line.message else None) or ""
                if text or (line.message and line.message.thinking):
                    pieces, characters = pieces + 1, characters + len(text)
                if characters > most:
                    raise self._server.fault("malformed", f"sent more than {most:,} characters for one answer")
                if text:
                    yield text
                if line.done:
                    last = line
        if last is None:
            raise self._server.fault(
                "cut-off", "broke off in the middle of an answer: it did not say how it ended", again=True
            )
        if why := self._watch.why(question.prompt, last.prompt_eval_count):
            raise self._cut(why)
        yield _ended(last, pieces)

    @property
    def _first(self) -> float:
        return self._server.patience.first

    def _body(self, question: Question, context: int) -> dict[str, Any]:
        return {
            "model": self._model,
            "messages": messages(question.prompt),
            "stream": True,
            "truncate": False,
            "shift": False,
            "options": {
                **_PLAIN,
                "temperature": question.temperature,
                "seed": question.seed,
                "num_predict": question.max_tokens,
                "num_ctx": context,
            },
        }

    async def _lines(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[_Line]:
        lines = Lines()
        try:
            async for data in chunks:
                for line in lines.feed(data):
                    if line.strip():
                        yield _DECODE(line)
            if rest := lines.last().strip():
                yield _DECODE(rest)
        except (msgspec.DecodeError, UnicodeDecodeError, TooLong) as error:
            raise self._server.fault("malformed", f"sent no answer: {error}", again=True) from error

    def _refused(self, status: int, headers: dict[str, str], body: bytes) -> EndpointFault:
        return refused(self._server, self._model, status, headers, body)

    def _told(self, error: str, pieces: int) -> EndpointFault:
        said = hidden(" ".join(error.split()))[:300]
        if pieces:
            return self._server.fault("cut-off", f"broke off in the middle of an answer: {said}", again=True)
        return self._server.fault("refused", f"did not answer: {said}", again=True)

    def _cut(self, why: str) -> EndpointFault:
        fix = "Make the model with a larger num_ctx (`PARAMETER num_ctx`), or leave the long prompts out."
        return self._server.fault("truncated-prompt", f"does not read the whole prompt: {why}", fix=fix)

    async def close(self) -> None:
        """Close the connections."""
        await self._server.close()


def _ended(last: _Line, pieces: int) -> Ended:
    timed = last.total_duration > 0
    waited = last.total_duration - last.prompt_eval_duration - last.eval_duration
    return Ended(
        tokens=last.eval_count or pieces,
        finish=last.done_reason or "stop",
        prompt_tokens=last.prompt_eval_count,
        counted=not last.eval_count,
        model=last.model,
        queued=max(0, waited) / 1e9 if timed else None,
        generating=last.eval_duration / 1e9 if last.eval_duration else None,
    )
