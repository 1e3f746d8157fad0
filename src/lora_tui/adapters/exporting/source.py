"""What the base with its adapter says itself, from transformers in a process of its own."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path

import msgspec
import psutil

from lora_tui.adapters.exporting.base import Base, read_json
from lora_tui.adapters.exporting.samples import NEW_TOKENS, PROMPTS, texts
from lora_tui.adapters.exporting.work import Work
from lora_tui.jobs.reference import Asked, Said
from lora_tui.workspace.errors import LoraTuiError

_ENGINE = ("torch", "transformers", "peft")
SOURCE = "source"  # the name of what does not change while an export works
_ADDED = 8  # tokens of each kind, special ones and others (<tool_call>), that texts are made with
_ROOM = 1.3  # of a model's weights, with what computing needs


class Unasked(Exception):
    """There is nobody to ask: why not."""


def asked(base: Base, adapter: Path | None) -> Asked:
    """What a comparison asks of a base and an adapter. Raises Unasked when no one here could answer."""
    missing = [name for name in _ENGINE if importlib.util.find_spec(name) is None]
    if missing:
        raise Unasked("the engine is not installed: pip install 'lora-tui[train]'")
    return Asked(
        base=str(base.folder),
        adapter=str(adapter or ""),
        texts=texts_of(base),
        prompts=PROMPTS,
        new_tokens=NEW_TOKENS,
        dtype=_dtype(base),
    )


def say(work: Work, wanted: Asked, name: str) -> Said:
    """Ask a model in the worker's process. Raises LoraTuiError with its reason, Unasked when it was ended."""
    question, answer = work.folder / f"{name}-asked.json", work.folder / f"{name}-said.json"
    words = msgspec.json.encode(wanted)
    if name == SOURCE and answer.is_file() and question.read_bytes() == words:
        return msgspec.json.decode(answer.read_bytes(), type=Said)  # asked already
    answer.unlink(missing_ok=True)
    question.write_bytes(words)
    command = [sys.executable, "-m", "lora_tui.worker", "reference", str(question), str(answer)]
    code = work.run(command, work.folder / "stderr.log")
    if not answer.is_file():
        raise Unasked(f"transformers ended without an answer (code {code}): its memory may not have been enough")
    said = msgspec.json.decode(answer.read_bytes(), type=Said)
    if said.error:
        answer.unlink()
        raise LoraTuiError(f"transformers cannot load it: {said.error}", where=wanted.base, fix=said.fix)
    return said


def _dtype(base: Base) -> str:
    """float32 where that fits into memory, else bfloat16. Raises Unasked when neither does."""
    weights = sum(math.prod(info.shape) for info in base.tensors.values())
    free = psutil.virtual_memory().available
    for dtype, width in (("float32", 4), ("bfloat16", 2)):
        if weights * width * _ROOM < free:
            return dtype
    raise Unasked(f"the base does not fit into {free / 1e9:.0f} GB of free memory")


def texts_of(base: Base) -> tuple[str, ...]:
    """The texts a base is asked to cut into tokens."""
    path = base.folder / "tokenizer.json"
    added = read_json(path).get("added_tokens") or [] if path.is_file() else []
    kinds = [[one["content"] for one in added if bool(one.get("special")) is special] for special in (True, False)]
    return texts(tuple(one for kind in kinds for one in kind[:_ADDED]))
