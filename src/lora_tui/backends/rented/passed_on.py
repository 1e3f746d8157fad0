"""Which of a person's keys goes along to another machine, and what is said of it before."""

from __future__ import annotations

from pathlib import Path

from lora_tui.workspace.keys import has_key

_HUB = "HF_TOKEN"


def passed_on(base: str) -> tuple[str, ...]:
    """The keys that a worker elsewhere needs for a resolved base: a Hub token where it fetches the base itself.

    They go to the worker's environment through the request alone, never a file.
    """
    return () if Path(base).is_dir() or not has_key(_HUB) else (_HUB,)


def in_words(base: str) -> str:
    """That a key goes along; empty where none does."""
    names = passed_on(base)
    return f"{names[0]} goes along: {base} is fetched there" if names else ""
