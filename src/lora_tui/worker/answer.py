"""The answering server: one model in memory, chats in on stdin, answers out on the pipe as they are written."""

from __future__ import annotations

import contextlib
from typing import Any, BinaryIO

import msgspec

from lora_tui.jobs.answering import Delta, Done, Ready, Request, Trouble, request
from lora_tui.worker import loading
from lora_tui.worker.generate import Ending, stream
from lora_tui.worker.template import NotText
from lora_tui.worker.wire import say
from lora_tui.workspace.errors import LoraTuiError


def serve(base: str, adapter: str, requests: BinaryIO, wire: BinaryIO) -> None:
    """Answer requests in order until their pipe closes. Raises BadInput when base or adapter cannot be loaded."""
    device = loading.device_here()
    tokenizer = loading.load_tokenizer(adapter if loading.has_tokenizer(adapter) else base)
    model = loading.load_model(base, bf16=None, device=device)
    if adapter:
        model = loading.load_adapter(model, adapter)
    model.eval()
    say(wire, Ready(model=adapter or base, device=device))
    with contextlib.suppress(BrokenPipeError):  # whoever asked has gone
        while data := requests.readline():
            if data.strip():
                _serve_one(model, tokenizer, data, wire)


def _serve_one(model: Any, tokenizer: Any, data: bytes, wire: BinaryIO) -> None:
    try:
        asked = request(data)
    except msgspec.DecodeError as error:
        say(wire, Trouble(id=0, error=f"not a request: {error}"))
        return
    try:
        _answer(model, tokenizer, asked, wire)
    except BrokenPipeError:
        raise
    except NotText:
        say(wire, Trouble(id=asked.id, error="this model reads text only, no pictures or files"))
    except LoraTuiError as error:
        say(wire, Trouble(id=asked.id, error=error.what, fix=error.fix))
    except Exception as error:  # one bad request must not end the server; the template may raise anything
        say(wire, Trouble(id=asked.id, error=f"{type(error).__name__}: {error}"))


def _answer(model: Any, tokenizer: Any, asked: Request, wire: BinaryIO) -> None:
    plain = asked.base_only and hasattr(model, "disable_adapter")
    ending = Ending()
    with model.disable_adapter() if plain else contextlib.nullcontext():
        for piece in stream(
            model,
            tokenizer,
            asked.messages,
            ending,
            max_tokens=asked.max_tokens,
            temperature=asked.temperature,
            seed=asked.seed,
        ):
            say(wire, Delta(id=asked.id, text=piece))
    say(
        wire,
        Done(id=asked.id, tokens=ending.tokens, prompt_tokens=ending.prompt_tokens, stopped=ending.stopped),
    )
