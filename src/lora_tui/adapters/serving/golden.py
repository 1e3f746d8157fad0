"""Whether a version that was loaded answers, and answers as itself.

Greedy answers to a few prompts. A version whose answers are all the base's own was loaded without effect, which engines
do not call an error: a name they do not know, modules they do not adapt.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from lora_tui.adapters.serving.engine import Target
from lora_tui.adapters.serving.reading import error_words
from lora_tui.workspace import atomic
from lora_tui.workspace.errors import LoraTuiError

PROMPTS = (
    "Hello",
    "What is your name?",
    "Write a function that returns the sum of a list of numbers.",
    "Explain in one sentence what a mutex is for.",
)
_TOKENS, _SECONDS = 32, 300.0
FINGERPRINTS = "fingerprints.json"


async def answers(target: Target, prompts: Sequence[str]) -> list[str]:
    """Greedy answers, one after another. Raises LoraTuiError where it does not answer, or with nothing."""
    found = []
    for prompt in prompts:
        body = {
            "model": target.model,
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": _TOKENS,
            "temperature": 0,
            "seed": 0,
        }
        try:
            async with asyncio.timeout(_SECONDS):
                status, data = await target.pool.ask("POST", "/v1/chat/completions", body)
        except (ConnectionError, TimeoutError) as error:
            raise LoraTuiError(f"{target.model} does not answer: {error or 'it took too long'}") from error
        if status != 200:
            raise LoraTuiError(f"{target.model} answered {status}: {error_words(data)}")
        found.append(_text(data, target.model))
    if not any(text.strip() for text in found):
        raise LoraTuiError(
            f"{target.model} answers nothing to any of {len(found)} prompts",
            fix="Look at what it was trained on, or give prompts of its own with --prompt.",
        )
    return found


def _text(data: bytes, model: str) -> str:
    try:
        message = msgspec.json.decode(data)["choices"][0]["message"]
        return str(message.get("content") or message.get("reasoning_content") or message.get("reasoning") or "")
    except (msgspec.DecodeError, LookupError, TypeError, AttributeError) as error:
        raise LoraTuiError(f"{model} answered something that is no chat completion") from error


class Fingerprints:
    """Hashes of the answers each version gave when it was promoted, per engine: `label engine` -> hash."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FINGERPRINTS

    def known(self, label: str, engine: str, texts: Sequence[str]) -> bool:
        """Whether the version gave these very answers before."""
        return self._read().get(f"{label} {engine}") == fingerprint(texts)

    def keep(self, label: str, engine: str, texts: Sequence[str]) -> None:
        """Remember them."""
        data = {**self._read(), f"{label} {engine}": fingerprint(texts)}
        atomic.write_bytes(self._path, msgspec.json.format(msgspec.json.encode(data)))

    def _read(self) -> dict[str, str]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, str])
        except (OSError, msgspec.DecodeError):
            return {}


def fingerprint(texts: Sequence[str]) -> str:
    """SHA-256 of answers in their order."""
    return hashlib.sha256(msgspec.json.encode(list(texts))).hexdigest()
