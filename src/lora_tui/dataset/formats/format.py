"""What every format is: how a row is shown in its fields, and how those fields are read again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from lora_tui.dataset.model import Row, RowMessage

Fields = Mapping[str, Any]  # what a format itself says of a row, as JSON


class Shown(msgspec.Struct, frozen=True):
    """What can be read of a format's own fields; `tools` is empty where it has no place for them."""

    messages: list[RowMessage]
    tools: list[dict[str, Any]] = []


class Format(msgspec.Struct, frozen=True):
    """One format. `fields` never fails; `read` raises NotAChat."""

    name: str
    suffix: str
    container: Literal["lines", "array", "table"]  # a row per line, one JSON array, Parquet
    fields: Callable[[Row], dict[str, Any]]  # the row's tools stand in the row
    read: Callable[[Fields], Shown]
