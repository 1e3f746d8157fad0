"""Numbers and states as every screen says them."""

from __future__ import annotations

from pathlib import Path

from lora_tui.jobs.duration import duration as duration

STATES = {
    "running": ("▶", "accent"),
    "paused": ("‖", "warn"),
    "finished": ("✓", "good"),
    "failed": ("✗", "bad"),
    "stopped": ("■", "warn"),
    "new": ("·", "muted"),
    "replay": ("»", "accent"),
}
"""The mark and the tone of how a run stands."""


LEFT_OUT = {
    "too_long": "longer than max_length",
    "no_loss": "nothing to learn from",
    "all_loss": "no prompt: all of it would be trained on",
    "not_text": "not text: pictures or files",
    "not_rendered": "the template refuses it",
    "rewritten": "the template changes earlier turns",
}
"""Why a row is not trained on, by the audit's reason."""


def gib(number: float) -> str:
    """Bytes in GiB with one digit, without the unit."""
    return f"{number / 1024**3:.1f}"


def many(number: int, noun: str) -> str:
    """A number with its noun: 1 row, 2 rows."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def base_name(base: str) -> str:
    """A base in few words: the end of its path, or its Hugging Face id."""
    return "/".join(Path(base).parts[-2:]) if Path(base).is_absolute() else base


def endpoint_name(endpoint: str) -> str:
    """An endpoint in few words: the adapter's label, the end of a base's path, the model behind a URL."""
    kind, _, rest = endpoint.partition(":")
    if kind == "openai":
        url, _, model = rest.rpartition("#")
        return f"{model} at {url.partition('//')[2].partition('/')[0] or url}"
    return base_name(rest) if kind == "base" else rest
