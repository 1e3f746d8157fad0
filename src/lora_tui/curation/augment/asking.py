"""Asking a model over OpenAI's /chat/completions: each answer is kept by what was asked, so nothing is paid twice.

Works with what Ollama, vLLM, llama.cpp's server and Together have in common: `messages`, `max_tokens`, `temperature`,
and `response_format` where the server knows it.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

import msgspec

from lora_tui.curation.augment.requests import Chat
from lora_tui.curation.augment.table import table
from lora_tui.workspace import atomic
from lora_tui.workspace.errors import BadInput, LoraTuiError

if TYPE_CHECKING:
    import httpx

_AGAIN = {408, 409, 425, 429, 500, 502, 503, 504, 529}
_LONGEST_WAIT = 60.0
_LOOK_AGAIN = 0.05  # seconds


class Answer(msgspec.Struct, frozen=True):
    """What a model said, and what it took. Tokens as the server counts them, else estimated."""

    text: str
    tokens_in: int
    tokens_out: int
    seconds: float


class NoAnswer(Exception):
    """One question went unanswered after every attempt; the text is the cause."""


class Spent(Exception):
    """The limit for calls or for money is reached."""


class Budget:
    """How much may be asked. Prices are per million tokens."""

    def __init__(self, calls: int = 0, cost: float = 0.0, price_in: float = 0.0, price_out: float = 0.0) -> None:
        self.most_calls, self.most_cost = calls, cost
        self.price_in, self.price_out = price_in, price_out
        self.calls = self.tokens_in = self.tokens_out = 0
        self.promised = 0.0  # what calls under way may still cost

    @property
    def cost(self) -> float:
        """What was spent so far."""
        return self.price(self.tokens_in, self.tokens_out)

    @property
    def out_of_calls(self) -> bool:
        """Whether no call is left, whatever it costs."""
        return bool(self.most_calls) and self.calls >= self.most_calls

    def price(self, tokens_in: float, tokens_out: float) -> float:
        """What so many tokens cost."""
        return (tokens_in * self.price_in + tokens_out * self.price_out) / 1e6

    def take(self, tokens_in: int, tokens_out: int) -> float:
        """Allow one more call of at most this size; returns what it may cost. Raises Spent."""
        most = self.price(tokens_in, tokens_out)
        if self.out_of_calls:
            raise Spent(f"the limit of {self.most_calls:,} calls is reached")
        if self.most_cost and self.cost + self.promised + most > self.most_cost:
            raise Spent(f"the next call could cost more than the limit of {self.most_cost:g}")
        self.calls += 1
        self.promised += most
        return most

    def book(self, promised: float, tokens_in: int, tokens_out: int) -> None:
        """Replace what a call might have cost by what it took."""
        self.promised = max(0.0, self.promised - promised)
        self.tokens_in += tokens_in
        self.tokens_out += tokens_out


class Model:
    """A model behind an endpoint. Use it as an async context manager."""

    def __init__(
        self,
        url: str,
        name: str,
        folder: Path,
        *,
        key_variable: str = "",
        budget: Budget | None = None,
        concurrency: int = 4,
        retry_seconds: float | None = None,
        timeout: float | None = None,
    ) -> None:
        """`folder` keeps the answers; the key in the environment variable `key_variable` is never kept."""
        rules = table().asking
        self.url = _checked(url)
        self.name = name
        self.budget = budget or Budget()
        self.seconds: list[float] = []  # of each call that was answered
        self._folder = folder
        self._key = _key(key_variable)
        self._retry = rules.retry_seconds if retry_seconds is None else retry_seconds
        self._timeout = timeout or rules.timeout_seconds
        self._places = asyncio.Semaphore(concurrency)
        self._json_mode = True
        self._client: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        import httpx

        self._client = httpx.AsyncClient(
            base_url=self.url.rstrip("/"),
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            timeout=httpx.Timeout(self._timeout, connect=10),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.aclose()

    def kept(self, chat: Chat, max_tokens: int) -> Answer | None:
        """The answer given to this very question before, if it was."""
        try:
            return msgspec.json.decode(self._file(chat, max_tokens).read_bytes(), type=Answer)
        except (OSError, msgspec.DecodeError):
            return None

    async def ask(self, chat: Chat, max_tokens: int) -> Answer:
        """The answer, from before or from the model. Raises NoAnswer, Spent, and LoraTuiError when none can come."""
        before = self.kept(chat, max_tokens)
        if before is not None:
            return before
        async with self._places:
            estimate = round(sum(len(one["content"]) for one in chat) / table().asking.characters_per_token)
            promised = await self._taken(estimate, max_tokens)
            tokens = (0, 0)
            try:
                answer = await self._asked(chat, max_tokens, estimate)
                tokens = (answer.tokens_in, answer.tokens_out)
            finally:
                self.budget.book(promised, *tokens)
        self.seconds.append(answer.seconds)
        atomic.write_bytes(self._file(chat, max_tokens), msgspec.json.encode(answer))
        return answer

    async def _taken(self, tokens_in: int, tokens_out: int) -> float:
        """Budget for one call. What other calls were promised and did not need is waited for. Raises Spent."""
        while True:
            try:
                return self.budget.take(tokens_in, tokens_out)
            except Spent:
                if not self.budget.promised or self.budget.out_of_calls:
                    raise
                await asyncio.sleep(_LOOK_AGAIN)

    async def _asked(self, chat: Chat, max_tokens: int, estimate: int) -> Answer:
        import httpx

        cause = ""
        attempts = table().asking.attempts
        for attempt in range(attempts):
            wait = self._retry * 2**attempt
            begun = time.monotonic()
            try:
                response = await self._post(chat, max_tokens)
            except httpx.TimeoutException:
                cause = f"no answer within {self._timeout:g} s"
            except httpx.HTTPError as error:
                cause = self._without_key(str(error)) or type(error).__name__
            else:
                if response.status_code == 200:
                    answer = _answer(response, time.monotonic() - begun, estimate)
                    if answer is not None:
                        return answer
                    cause = "the answer is not what /chat/completions gives"
                else:
                    cause = f"HTTP {response.status_code}: {self._said(response)}"
                    if response.status_code not in _AGAIN:
                        raise LoraTuiError(
                            f"{self.name} cannot be asked: {cause}",
                            where=self.url,
                            fix="Check the URL (it ends in /v1 for most servers), the model's name and the key.",
                        )
                    wait = max(wait, _asked_to_wait(response))
            if attempt + 1 < attempts:
                await asyncio.sleep(min(wait, _LONGEST_WAIT))
        raise NoAnswer(f"{cause} ({attempts} attempts)")

    async def _post(self, chat: Chat, max_tokens: int) -> httpx.Response:
        assert self._client is not None
        body = self._body(chat, max_tokens)
        if not self._json_mode:
            return await self._client.post("/chat/completions", json=body)
        wish = {"response_format": {"type": "json_object"}}
        response = await self._client.post("/chat/completions", json=body | wish)
        if response.status_code in (400, 422) and "response_format" in response.text:
            self._json_mode = False  # some servers do not know it: the text asks for JSON too
            response = await self._client.post("/chat/completions", json=body)
        return response

    def _body(self, chat: Chat, max_tokens: int) -> dict[str, object]:
        return {
            "model": self.name,
            "messages": chat,
            "max_tokens": max_tokens,
            "temperature": table().asking.temperature,
        }

    def _file(self, chat: Chat, max_tokens: int) -> Path:
        """Named by everything that determines the answer."""
        asked = msgspec.json.encode([table().version, self._body(chat, max_tokens)], order="sorted")
        return self._folder / f"{hashlib.blake2b(asked, digest_size=16).hexdigest()}.json"

    def _said(self, response: httpx.Response) -> str:
        return " ".join(self._without_key(response.text)[:300].split())

    def _without_key(self, text: str) -> str:
        """Some servers repeat the key in their error."""
        return text.replace(self._key, "***") if self._key else text


def _checked(url: str) -> str:
    """Raises BadInput, without repeating what may hold a secret."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        secret = bool(parts.username or parts.password or parts.query)
        _ = parts.port
    except ValueError:
        usable = secret = False
    if secret:
        raise BadInput(
            "an endpoint's URL must hold no user, password or query",
            fix="Put the key into an environment variable and name it with --key-env.",
        )
    if not usable:
        raise BadInput("the endpoint is no usable URL", fix="Write http://HOST:PORT/v1.")
    return url


def _key(variable: str) -> str:
    """The key in this environment variable. Raises BadInput, without its value."""
    if not variable:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key:
        raise BadInput(f"${variable} is empty", fix="Set it to the endpoint's key, or leave --key-env out.")
    if not key.isascii() or not key.isprintable():
        raise BadInput(f"${variable} holds characters that no key has", fix="Set it again, without line breaks.")
    return key


def _answer(response: httpx.Response, seconds: float, estimate: int) -> Answer | None:
    try:
        data = msgspec.json.decode(response.content)
        text = data["choices"][0]["message"]["content"] or ""
        usage = data.get("usage") or {}
        guess = round(len(text) / table().asking.characters_per_token)
        tokens_in, tokens_out = usage.get("prompt_tokens", estimate), usage.get("completion_tokens", guess)
    except (msgspec.DecodeError, KeyError, IndexError, TypeError, AttributeError):
        return None
    return Answer(str(text), int(tokens_in), int(tokens_out), seconds)


def _asked_to_wait(response: httpx.Response) -> float:
    try:
        return float(response.headers.get("Retry-After", 0))
    except ValueError:
        return 0.0
