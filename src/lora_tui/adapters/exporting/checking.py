"""An export is loaded and asked before it is called done; where nobody can, it is said why."""

from __future__ import annotations

from pathlib import Path

import msgspec

from lora_tui.adapters.exporting import llama_cpp, source
from lora_tui.adapters.exporting.base import Base
from lora_tui.adapters.exporting.comparing import Heard, compare
from lora_tui.adapters.exporting.samples import NEW_TOKENS
from lora_tui.adapters.exporting.source import Unasked
from lora_tui.adapters.exporting.work import Work
from lora_tui.jobs.reference import Asked, Said


class Verdict(msgspec.Struct, frozen=True):
    """Whether it was loaded and compared, and what was found, or why it was not."""

    checked: bool
    words: str


def check_merged(work: Work, base: Base, adapter: Path | None, folder: Path, kind: str) -> Verdict:
    """Load a merged folder in transformers. Raises LoraTuiError where it says something else than its source."""
    try:
        wanted, said = _source(work, base, adapter)
        work.stage("load the export in transformers")
        found = source.say(work, msgspec.structs.replace(wanted, base=str(folder), adapter=""), "export")
    except Unasked as error:
        return Verdict(False, f"not checked: {error}")
    heard = [
        Heard(tokens=one.tokens, text=one.text, logprob=one.logprobs[0] if one.logprobs else None)
        for one in found.answers
    ]
    return Verdict(True, f"loaded in transformers; {compare(said, found.texts, heard, kind).words}")


def check_gguf(work: Work, base: Base, adapter: Path | None, files: tuple[Path, Path | None], kind: str) -> Verdict:
    """Load a model's GGUF, with an adapter's on it where `files` has one, in llama.cpp.

    Raises LoraTuiError where llama.cpp refuses it, or where it says something else than its source.
    """
    try:
        _, said = _source(work, base, adapter)
        work.stage("load the export in llama.cpp")
        with llama_cpp.loaded(work, *files) as model:
            wanted = source.texts_of(base)
            texts = [model.tokens(text) for text in wanted]
            heard, alike = llama_cpp.hear(work, model, said, NEW_TOKENS)
    except Unasked as error:
        return Verdict(False, f"not checked: {error}")
    found = compare(said, texts, heard, kind)
    template = "" if alike == len(heard) else f"; its chat template writes {len(heard) - alike} prompts otherwise there"
    return Verdict(True, f"loaded in llama.cpp; {found.words}{template}")


def _source(work: Work, base: Base, adapter: Path | None) -> tuple[Asked, Said]:
    work.stage("ask the source in transformers")
    wanted = source.asked(base, adapter)
    return wanted, source.say(work, wanted, source.SOURCE)
