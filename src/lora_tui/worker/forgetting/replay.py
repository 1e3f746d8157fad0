"""Replay: general conversations mixed into the training rows, stored ones or what the model itself says to them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from lora_tui.dataset.general import wanted as wanted
from lora_tui.jobs import journal
from lora_tui.jobs.audit import LeftOut
from lora_tui.worker.aside import aside
from lora_tui.worker.forgetting import texts
from lora_tui.worker.generate import Ending, stream
from lora_tui.worker.requests import Requests
from lora_tui.worker.rows import Row
from lora_tui.worker.tokenize import Tokens, tokenize

MAX_TOKENS = 256  # of an answer the model gives
STAGE = "answer the replay questions"
_ASKED = "questions.jsonl"


def stored(folder: Path, chats: Path, seed: int, number: int) -> list[Row]:
    """`number` conversations of a chat file (0: all), the same whenever the run is taken up again."""
    return texts.kept(folder / texts.FOLDER / texts.REPLAY, chats, seed, number)


def answered(
    folder: Path,
    chats: Path,
    seed: int,
    number: int,
    model: Any,
    tokenizer: Any,
    log: journal.Journal,
    asked: Requests,
    *,
    max_tokens: int = MAX_TOKENS,
) -> list[Row]:
    """The same conversations with the answers `model` gives, as it is before it is trained.

    They are drawn from its own distribution, not the likeliest ones: to learn those would make it surer than it was.

    Each answer is kept as it comes: a run that is taken up again goes on with the next. An answer that does not end by
    itself, or is empty, is left out. Where a stop is asked for it ends early.
    """
    rows = texts.kept(folder / texts.FOLDER / _ASKED, chats, seed, number)
    path = folder / texts.FOLDER / texts.REPLAY
    done = {row.id: row for row in texts.read(path)} if path.is_file() else {}
    with aside(model):
        for count, row in enumerate(rows):
            if row.id in done or not (question := texts.questions(row)):
                continue
            if asked.stop:
                break
            log.write(journal.Progress(stage=STAGE, done=count, total=len(rows)))
            ending = Ending()
            pieces = stream(
                model, tokenizer, question, ending, max_tokens=max_tokens, temperature=1.0, seed=_seed(row.id)
            )
            said = "".join(pieces).strip()
            messages = [*question, {"role": "assistant", "content": said}] if said and ending.stopped else []
            done[row.id] = msgspec.structs.replace(row, messages=messages)
            texts.append(path, [done[row.id]])
    log.write(journal.Progress(stage=STAGE, done=len(rows), total=len(rows)))
    return [done[row.id] for row in rows if row.id in done and done[row.id].messages]


def tokens_of(rows: list[Row], tokenizer: Any, max_length: int) -> list[Tokens]:
    """The rows as the trainer takes them; what does not fit is left out."""
    found = tokenize(tokenizer, rows, "replay", max_length)
    return [item for item in found if not isinstance(item, LeftOut)]


def note(mixed: int, train: int, share: float, *, own: bool, chats: Path) -> journal.Note:
    """What a person should know of it; `train` counts the rows without the mixed ones."""
    source = f"the model's own answers to questions of {chats.name}" if own else chats.name
    reached = mixed / (mixed + train) if mixed + train else 0.0
    short = f" ({share:.0%} wanted: there are no more)" if mixed < wanted(train, share) else ""
    rows = "row" if mixed == 1 else "rows"
    return journal.Note(message=f"replay: {mixed} {rows} of {source} mixed in, {reached:.0%} of all{short}")


def _seed(name: str) -> int:
    """Of a row's answer: whenever it is given, it is the same."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest(), "big")
