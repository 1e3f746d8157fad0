"""All formats by name, in the order in which people are told of them."""

from __future__ import annotations

from lora_tui.dataset.formats import alpaca, chatml, messages, parquet, prompt_completion, sharegpt
from lora_tui.dataset.formats.format import Format
from lora_tui.workspace.errors import BadInput

FORMATS: dict[str, Format] = {
    one.name: one
    for one in (
        messages.FORMAT,
        sharegpt.FORMAT,
        chatml.FORMAT,
        alpaca.FORMAT,
        alpaca.ARRAY,
        prompt_completion.FORMAT,
        parquet.FORMAT,
    )
}


def named(name: str) -> Format:
    """A format by its name. Raises BadInput."""
    if name not in FORMATS:
        raise BadInput(f"there is no format {name!r}", fix=f"Known: {', '.join(FORMATS)}.")
    return FORMATS[name]


def of(fields: dict[str, object]) -> Format | None:
    """The format that a row's keys belong to; Alpaca's lines and array hold the same. None: it is none of them."""
    if isinstance(fields.get("messages"), list) and isinstance(fields.get("tools"), str):
        return parquet.FORMAT
    for keys, found in (
        (("messages",), messages.FORMAT),
        (("conversations",), sharegpt.FORMAT),
        (("prompt", "completion"), prompt_completion.FORMAT),
        (("instruction", "output"), alpaca.FORMAT),
        (("text",), chatml.FORMAT),
    ):
        if all(fields.get(key) is not None for key in keys):
            return found
    return None
