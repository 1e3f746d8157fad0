"""How a version is divided, as a person writes it."""

from __future__ import annotations

from lora_tui.workspace.errors import BadInput

Shares = tuple[int, int, int]


def shares(text: str) -> Shares:
    """`80/10/10` as percent of train, validation and test. Raises BadInput."""
    try:
        train, validation, test = (int(part) for part in text.split("/"))
    except ValueError:
        raise BadInput(f"the split {text!r} cannot be read", fix="Write it as 80/10/10.") from None
    if train + validation + test != 100 or min(train, validation, test) < 0:
        raise BadInput(
            f"the split {text} does not add up to 100",
            fix="Write the percentages of train, validation and test, as in 80/10/10.",
        )
    return train, validation, test
