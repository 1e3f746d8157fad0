"""An endpoint that is asked in OpenAI's dialect: one request, one stream, and every way it can go wrong named."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Protocol

import msgspec

from lora_tui.verify.asking import Ended, EndpointFault, Identity, Question
from lora_tui.verify.endpoints.chunks import Broken, Said, Stream
from lora_tui.verify.endpoints.refusals import refused
from lora_tui.verify.endpoints.server import Server
from lora_tui.verify.endpoints.truncation import Watch
from lora_tui.workspace.keys import hidden

_AFTER = 0.5  # seconds that the connection gets to end after the stream has
_LONG_TOKEN = 256  # characters


class Tokens(Protocol):
    """A server's own tokenizer. Both may raise EndpointFault."""

    async def of_prompt(self, prompt: str) -> int | None:
        """Tokens of the chat that `prompt` makes; None where it cannot be told."""
        ...

    async def of_text(self, text: str) -> int | None:
        """Tokens of plain text."""
        ...


class Known(msgspec.Struct, frozen=True):
    """What `identify` found, and what follows for the requests."""

    identity: Identity
    says: str = ""  # the model that its answers name; "": the first answer tells, and the others must say the same
    more: Mapping[str, Any] = {}  # further fields of each request
    tokens: Tokens | None = None


class Chat:
    """An `Endpoint` over POST `path`. `find` says who answers; it is asked again at every `identify`."""

    def __init__(self, name: str, server: Server, path: str, find: Callable[[], Awaitable[Known]]) -> None:
        self.name, self.address = name, server.address
        self._server, self._path, self._find = server, path, find
        self._known: Known | None = None
        self._says = ""
        self._watch = Watch()
        self._counting: dict[str, asyncio.Task[int | None]] = {}
        self._counts_nothing = False

    async def identify(self) -> Identity:
        """Who answers. Raises EndpointFault: "wrong-model", "unreachable"."""
        return (await self._identified(anew=True)).identity

    async def _identified(self, *, anew: bool = False) -> Known:
        if self._known is None or anew:
            found = await self._find()
            if self._known is not None and found.more != self._known.more:
                raise self._server.fault("wrong-model", "has other adapters, or other numbers for them, than before")
            self._known = found
            self._says = self._known.says
        return self._known

    async def ask(self, question: Question) -> AsyncIterator[str | Ended]:
        """Pieces of the answer as they come, and at last an Ended. Raises EndpointFault."""
        known = self._known or await self._identified()
        model = known.identity.model
        body = {**request(model, question), **known.more}
        exact = self._count(known.tokens, question.prompt)
        stream = Stream(_LONG_TOKEN * (question.max_tokens + 64))
        said: list[str] = []
        try:
            async with self._server.request("POST", self._path, body, self._server.patience.first) as reply:
                if reply.status != 200:
                    raise refused(self._server, model, reply.status, reply.headers, await reply.read())
                async for text in self._texts(reply.chunks(), stream):
                    said.append(text)
                    yield text
        except Broken as error:
            raise self._server.fault("malformed", f"sent no answer: {error}", again=True) from error
        except Said as error:
            raise self._told(error, stream) from error
        if not stream.finish:
            raise self._unfinished(stream)
        why = self._watch.why(question.prompt, stream.prompt_tokens, await self._counted(exact))
        if why:
            fix = "Give the server a longer context, or leave the long prompts out."
            raise self._server.fault("truncated-prompt", f"did not read the whole prompt: {why}", fix=fix)
        if stream.counted and known.tokens is not None:
            stream.tokens = await _or_none(known.tokens.of_text("".join(said))) or stream.tokens
        yield Ended(
            tokens=stream.tokens,
            finish=stream.finish,
            prompt_tokens=stream.prompt_tokens,
            counted=stream.counted,
            model=stream.model,
            generating=stream.generating,
        )

    async def _texts(self, chunks: AsyncIterator[bytes], stream: Stream) -> AsyncIterator[str]:
        while not stream.done:
            try:
                text = stream.feed(await anext(chunks))
            except StopAsyncIteration:
                text = stream.end()
                stream.done = True
            except EndpointFault as error:
                if error.code == "cut-off" and stream.finish:
                    return  # the answer was complete; what is missing is the count
                raise
            if stream.model != self._says:
                self._check(stream.model)
            if text:
                yield text
        try:  # to its end, so that the connection can be used again
            async with asyncio.timeout(_AFTER):
                async for _ in chunks:
                    pass
        except (TimeoutError, EndpointFault):
            pass

    def _check(self, model: str) -> None:
        if not model:
            return
        if self._says:
            raise self._server.fault(
                "wrong-model",
                f"answers with another model than before: {model} in place of {self._says}",
                fix="See what is loaded there.",
            )
        self._says = model

    def _told(self, error: Said, stream: Stream) -> EndpointFault:
        said = hidden(str(error))
        if error.status == 429:
            return self._server.fault("rate-limited", f"is asked too often: {said}", again=True)
        if stream.pieces:
            return self._server.fault("cut-off", f"broke off in the middle of an answer: {said}", again=True)
        return self._server.fault("refused", f"did not answer: {said}", again=not 400 <= error.status < 500)

    def _unfinished(self, stream: Stream) -> EndpointFault:
        if stream.events:
            what = "broke off in the middle of an answer: it did not say how it ended"
            return self._server.fault("cut-off", what, again=True)
        return self._server.fault("malformed", "sent no stream of chat completions", fix="Check the address.")

    def _count(self, tokens: Tokens | None, prompt: str) -> asyncio.Task[int | None] | None:
        """The count of a prompt by the server's tokenizer, asked beside the answer, once for all its samples."""
        if tokens is None or self._counts_nothing:
            return None
        if prompt not in self._counting:
            self._counting[prompt] = asyncio.create_task(_or_none(tokens.of_prompt(prompt)))
        return self._counting[prompt]

    async def _counted(self, exact: asyncio.Task[int | None] | None) -> int | None:
        if exact is None:
            return None
        found = await exact
        self._counts_nothing |= found is None  # not asked for again: each time may take its whole patience
        return found

    async def close(self) -> None:
        """Close the connections."""
        for task in self._counting.values():
            task.cancel()
        await self._server.close()


def request(model: str, question: Question) -> dict[str, Any]:
    """The fields that every server of the dialect knows."""
    return {
        "model": model,
        "messages": messages(question.prompt),
        "max_tokens": question.max_tokens,
        "temperature": question.temperature,
        "seed": question.seed,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def messages(prompt: str) -> list[dict[str, str]]:
    """The chat that a prompt makes.

    In NFC: some tokenizers of transformers normalise to that and llama.cpp's never do, so that they differ on the rest.
    """
    return [{"role": "user", "content": unicodedata.normalize("NFC", prompt)}]


async def answers_as(server: Server, path: str, model: str) -> str:
    """The model that an answer of one token says it is from; "" where it does not say.

    Raises EndpointFault: "wrong-model" or "refused" where the name is not served, and as `ask`.
    """
    body = {**request(model, Question("Hello", max_tokens=1)), "stream": False}
    del body["stream_options"]
    async with server.request("POST", path, body, server.patience.first) as reply:
        data = await reply.read()
        if reply.status != 200:
            raise refused(server, model, reply.status, reply.headers, data)
    try:
        found = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = None
    if not isinstance(found, dict):
        raise server.fault("malformed", "sent no chat completion", fix="Check the address.")
    return str(found.get("model") or "")


async def _or_none(count: Awaitable[int | None]) -> int | None:
    """A count that is a help only: where it fails there is none."""
    try:
        return await count
    except EndpointFault:
        return None
