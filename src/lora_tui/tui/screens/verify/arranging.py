"""In which order prompts are listed, and which of them: regressions first, all of a language, one language alone."""

from __future__ import annotations

from collections.abc import Sequence

from lora_tui.tui.screens.verify.comparison import GROUPS, Comparison, Prompt

ALL, TOGETHER = "", "*"  # beside the names of languages


def arranged(found: Comparison, wanted: str) -> Sequence[Prompt]:
    """The prompts to list. While answers come they stand in the suite's order: rows must not run away.

    `wanted` is ALL, TOGETHER (one language after another) or a language.
    """
    prompts = [item for item in found.prompts if wanted in (ALL, TOGETHER, item.language)]
    if found.result is None:
        return sorted(prompts, key=lambda item: item.language) if wanted == TOGETHER else prompts
    return sorted(
        prompts,
        key=lambda item: (item.language if wanted == TOGETHER else "", GROUPS.index(item.group), item.number),
    )


def choices(found: Comparison) -> list[tuple[str, str]]:
    """What can be wanted, each in words with how many prompts it has."""
    many = {name: sum(item.language == name for item in found.prompts) for name in found.languages}
    return [
        (ALL, "all, regressions first"),
        (TOGETHER, "all, one language after another"),
        *((name, f"{name}, {count} of {len(found.prompts)}") for name, count in many.items()),
    ]
