"""How every command speaks: text for people, one JSON document for programs, progress on stderr."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import click

from lora_tui.jobs.duration import duration as duration

if TYPE_CHECKING:
    from lora_tui.workspace.layout import Workspace

Advance = Callable[..., None]  # (done, total=0, text="")

_MOST = 2**63 - 1  # what SQLite can count

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def safe(text: str) -> str:
    """Text for a terminal: without control characters, with which a recorded session could command it."""
    return _CONTROL.sub("", text)


class Number(click.ParamType[int]):
    """A whole number, from `least` on."""

    name = "number"

    def __init__(self, least: int = 0, most: int = _MOST) -> None:
        self._least, self._most = least, most

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number a person typed."""
        try:
            number = int(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a number", param, ctx)
        if number < self._least:
            self.fail(f"{number} is too small: the least is {self._least}", param, ctx)
        if number > self._most:
            self.fail(f"{number} is too large: the most is {self._most}", param, ctx)
        return number


NUMBER = Number(1)  # an id or a limit


class Amount(click.ParamType[float]):
    """Hours or money: a finite number above zero, or from it on. A cap that is nan or 0 would cap nothing."""

    name = "amount"

    def __init__(self, *, zero: bool = False, most: float = 1e9) -> None:
        self._zero, self._most = zero, most

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The amount a person typed."""
        try:
            amount = float(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a number", param, ctx)
        if not (0 < amount <= self._most or (self._zero and amount == 0)):
            least = "0" if self._zero else "more than 0"
            self.fail(f"{value} is out of range: {least} to {self._most:g}", param, ctx)
        return amount


AMOUNT = Amount()


class Cli:
    """What a command gets: the workspace it works in and the way it prints."""

    def __init__(self, workspace: str | None = None) -> None:
        self.named = workspace
        self.json = False

    @cached_property
    def workspace(self) -> Workspace:
        """The workspace of --workspace, the environment or the platform; a command without one imports none of it."""
        from lora_tui.workspace.layout import Workspace

        return Workspace.locate(self.named)

    def emit(self, data: object, text: str | Callable[[], str] = "") -> None:
        """Print `data` as one JSON document under --json, else `text`."""
        if self.json:
            import msgspec

            encoded = msgspec.json.encode(data, enc_hook=str)
            sys.stdout.write(msgspec.json.format(encoded, indent=2).decode() + "\n")
        else:
            shown = text() if callable(text) else text
            if shown:
                click.echo(safe(shown))

    def say(self, line: str) -> None:
        """A remark about the work, on stderr, so that it never mixes with the result."""
        _show(safe(line) + "\n")

    @contextmanager
    def progress(self, label: str) -> Iterator[Advance]:
        """Show how far the work is, on stderr: a line rewritten on a terminal, a line now and then elsewhere."""
        shown = _ProgressLine(label)
        try:
            yield shown.update
        finally:
            shown.close()


class _ProgressLine:
    def __init__(self, label: str) -> None:
        self.label = label
        self.live = sys.stderr.isatty()
        self.pause = 0.1 if self.live else 5.0
        self.last = 0.0
        self.dirty = False

    def update(self, done: int, total: int = 0, text: str = "") -> None:
        now = time.monotonic()
        if now - self.last < self.pause and not (total and done >= total):
            return
        self.last = now
        amount = f"{done:,} of {total:,}" if total else f"{done:,}"
        line = f"{self.label}: {amount}{'  ' + _cell(text) if text else ''}"
        self.dirty = self.live
        _show(f"\r\x1b[2K{line[:120]}" if self.live else line + "\n")

    def close(self) -> None:
        if self.dirty:
            _show("\r\x1b[2K")


def _show(line: str) -> None:
    try:
        sys.stderr.write(line)
        sys.stderr.flush()
    except OSError:  # nobody looks any more: no reason to stop the work, nor to fail at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


pass_cli = click.make_pass_decorator(Cli)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--json`."""

    def remember(context: click.Context, _: click.Parameter, value: bool) -> None:
        if value:
            context.ensure_object(Cli).json = True

    return click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        callback=remember,
        help="Print one JSON document on stdout.",
    )(command)


def table(
    rows: Sequence[Sequence[object]], headings: Sequence[str], empty: str = "nothing yet", right: Sequence[int] = ()
) -> str:
    """Aligned columns for people; numbers and the columns `right` to the right, the last as wide as it likes."""
    from rich.cells import cell_len

    if not rows:
        return empty
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [
        max(cell_len(heading), *(cell_len(row[index]) for row in cells)) for index, heading in enumerate(headings)
    ]
    flush = [
        index in right or all(isinstance(row[index], int | float) for row in rows) for index in range(len(headings))
    ]

    def line(values: Sequence[str]) -> str:
        parts = []
        for index, value in enumerate(values):
            pad = " " * (widths[index] - cell_len(value))
            parts.append(pad + value if flush[index] else value + pad)
        return "  ".join(parts).rstrip()

    return "\n".join([line(list(headings)), *map(line, cells)])


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    return " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())


def ago(milliseconds: int) -> str:
    """How long ago, in one short word: 5m, 3h, 12d."""
    seconds = max(0, int(time.time() - milliseconds / 1000))
    for unit, size in (("y", 31_536_000), ("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
