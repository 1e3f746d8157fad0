"""The widgets: lists, conversations, charts and foreign text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from on_screen import shown, text_of, until
from rich.cells import cell_len
from textual.app import App, ComposeResult

from lora_tui.sources.model import About, Function, Message, ToolCall
from lora_tui.tui.safe_text import age, fit, one_line, plain
from lora_tui.tui.themes import VARIABLE_DEFAULTS
from lora_tui.tui.widgets.braille_chart import BrailleChart, Series
from lora_tui.tui.widgets.conversation_lines import conversation
from lora_tui.tui.widgets.log_tail import LogTail
from lora_tui.tui.widgets.series import Decimated
from lora_tui.tui.widgets.transcript import Transcript
from lora_tui.tui.widgets.virtual_list import Cell, Column, VirtualList
from lora_tui.tui.widgets.wrap import chop, wrap

EVIL = "\x1b[2J\x1b]0;owned\x07[bold red]not markup[/] \x9b31m\u202eabc\u200b\x00 tab\tend"


@given(st.text())
def test_foreign_text_never_reaches_the_terminal_as_a_command(text: str) -> None:
    shown_text = plain(text)
    assert not any((ord(letter) < 32 and letter != "\n") or 127 <= ord(letter) < 160 for letter in shown_text)
    shown_text.encode()


def test_escape_sequences_go_whole() -> None:
    assert one_line(EVIL) == "[bold red]not markup[/] 31mabc tab end"


@given(st.text(alphabet="aé幅👍 …", max_size=40), st.integers(1, 30))
def test_a_cell_has_exactly_its_width(text: str, width: int) -> None:
    assert cell_len(fit(text, width)) == width
    assert cell_len(fit(text, width, right=True)) == width


@given(st.text(alphabet="ab 幅\n", max_size=200), st.integers(4, 30))
def test_wrapping_keeps_every_word_and_fits(text: str, width: int) -> None:
    for line in text.split("\n"):
        pieces = list(wrap(line, width))
        assert all(cell_len(piece) <= width for piece in pieces)
        assert "".join("".join(pieces).split()) == "".join(line.split())
        assert "".join(chop(line, width)) == line


@pytest.mark.parametrize(
    ("seconds", "text"), [(5, "5s"), (125, "2m"), (7_300, "2h"), (3 * 86_400, "3d"), (20 * 86_400, "2w"), (9e7, "2y")]
)
def test_ages_take_three_cells(seconds: float, text: str) -> None:
    assert age(0, seconds) == text


class Numbers:
    """A million rows that count how often they are asked for."""

    def __init__(self, total: int = 1_000_000) -> None:
        self.total = total
        self.asked = 0

    def __len__(self) -> int:
        return self.total

    def columns(self, width: int) -> Sequence[Column]:
        return (Column(12), Column(0))

    def cells(self, index: int) -> Sequence[Cell]:
        self.asked += 1
        return (Cell(f"row {index}", "accent"), Cell("幅の広い文字" * 9 if index % 2 else "plain"))


class Bare(App[None]):
    """An app with the variables that our widgets' styles use."""

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return VARIABLE_DEFAULTS


class ListApp(Bare):
    def __init__(self, source: Numbers) -> None:
        super().__init__()
        self.source = source

    def compose(self) -> ComposeResult:
        yield VirtualList()

    def on_mount(self) -> None:
        self.query_one(VirtualList).show(self.source)


async def test_a_list_of_a_million_rows_asks_for_those_in_sight() -> None:
    source = Numbers()
    app = ListApp(source)
    async with app.run_test(size=(60, 20)) as pilot:
        await shown(app, "row 19")
        await pilot.press("G")
        await shown(app, "row 999999")
        await pilot.press("g", "j", "j", "ctrl+d", "pagedown", "k")
        assert app.query_one(VirtualList).cursor == 2 + 9 + 19 - 1
        assert source.asked < 200


async def test_a_list_stays_inside_its_rows() -> None:
    app = ListApp(Numbers(3))
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.press("k", "j", "j", "j", "j", "j")
        assert app.query_one(VirtualList).cursor == 2
        app.query_one(VirtualList).show(Numbers(0))
        await pilot.press("j", "G", "pagedown", "k")
        assert text_of(app).strip() == ""


def _conversation(messages: list[Message], width: int = 60, folded: bool = True) -> str:
    return "\n".join("".join(text for text, _ in line) for line in conversation(messages, width, folded=folded))


def _call(name: str, arguments: str, call_id: str = "c1") -> Message:
    return Message(role="assistant", tool_calls=[ToolCall(call_id, Function(name, arguments))])


def test_a_conversation_marks_what_is_not_the_speakers_own() -> None:
    text = _conversation(
        [
            Message(role="user", content="do it", about=About(reverted=True)),
            Message(role="assistant", reasoning_content="first I think", content="done"),
            Message(role="user", content="$ ls", about=About(origin="shell")),
        ]
    )
    assert "you  undone" in text
    assert "┆ first I think" in text
    assert "you  ran a command" in text


def test_tool_calls_are_one_line_with_their_outcome() -> None:
    failed = Message(role="tool", content="boom", tool_call_id="c1", about=About(exit=101))
    text = _conversation([_call("bash", '{"command":"cargo test\\n--all"}'), failed])
    assert "▸ bash cargo test --all → exit 101" in text
    assert "  │ boom" in text


def test_calls_that_are_no_json_and_answers_without_a_call_are_shown_too() -> None:
    lost = Message(role="tool", content="an answer", tool_call_id="other")
    text = _conversation([_call("odd", "{not json"), lost])
    assert "▸ odd {not json → no answer" in text
    assert "  │ an answer" in text


@given(st.text(max_size=300), st.integers(20, 80), st.booleans())
def test_any_text_fits_the_window(text: str, width: int, folded: bool) -> None:
    messages = [
        Message(role="user", content=text),
        Message(role="assistant", content=f"```rust\n{text}\n```\n{text}", reasoning_content=text),
        _call("bash", text),
        Message(role="tool", content=text, tool_call_id="c1"),
    ]
    for line in conversation(messages, width, folded=folded):
        joined = "".join(piece for piece, _ in line)
        assert "\x1b" not in joined
        assert "\n" not in joined


class ReaderApp(Bare):
    def compose(self) -> ComposeResult:
        yield Transcript()

    def on_mount(self) -> None:
        self.query_one(Transcript).focus()


async def test_a_long_conversation_is_laid_out_only_as_far_as_it_is_read() -> None:
    made = 0

    def lines(width: int, folded: bool):  # type: ignore[no-untyped-def]
        nonlocal made
        for number in range(100_000):
            made += 1
            yield [(f"line {number} {EVIL if number == 1 else ''}", "")]

    app = ReaderApp()
    async with app.run_test(size=(60, 20)) as pilot:
        app.query_one(Transcript).show_lines(lines)
        await shown(app, "line 19")
        assert made < 300
        await pilot.pause()
        await pilot.press("pagedown", "pagedown")
        await shown(app, "line 40")
        assert made < 600


class ChartApp(Bare):
    def compose(self) -> ComposeResult:
        yield BrailleChart("loss", [Series("train"), Series("eval", "points", "accent")])
        yield LogTail()

    def on_mount(self) -> None:
        self.query_one(LogTail).styles.height = 3


async def test_a_chart_shows_its_series_range_and_last_values() -> None:
    app = ChartApp()
    async with app.run_test(size=(60, 20)) as pilot:
        await shown(app, "nothing measured yet")
        chart = app.query_one(BrailleChart)
        chart.extend("train", [(step, 4.0 / (step + 1)) for step in range(1, 101)])
        chart.extend("eval", [(50, 0.5), (100, 0.25), (100, math.nan)])
        await pilot.pause()
        text = await shown(app, "train 0.0396")
        assert "eval 0.25" in text
        assert "×" in text
        assert any(0x2800 < ord(letter) <= 0x28FF for letter in text)
        assert "2│" in text
        chart.replace({"train": [(1, 7.0)]})
        await shown(app, "train 7")


async def test_a_log_shows_the_present_state(tmp_path: Path) -> None:
    app = ChartApp()
    log = tmp_path / "out.log"
    log.write_bytes(b"first\nsecond " + EVIL.encode() + b"\n 10%\r 50%\r100%\n\xff\xfe half")
    async with app.run_test(size=(60, 20)):
        app.query_one(LogTail).show_file(log)
        text = await shown(app, "100%")
        assert "50%" not in text
        assert "[bold red]not markup[/]" in text
        app.query_one(LogTail).show_file(tmp_path / "gone")


@given(st.lists(st.floats(-1e6, 1e6), max_size=3000))
def test_a_series_stays_small_and_keeps_range_and_last_value(values: list[float]) -> None:
    data = Decimated(capacity=64)
    data.extend(enumerate(values))
    assert len(data.points) <= 65
    assert data.last == (values[-1] if values else None)
    if values:
        assert min(values) - 1e-3 <= min(y for _, y in data.points)
        assert max(y for _, y in data.points) <= max(values) + 1e-3
        steps = [x for x, _ in data.points]
        assert steps == sorted(steps)


async def test_a_list_lays_its_columns_out_for_the_width_it_has() -> None:
    class Widths(Numbers):
        width = 0

        def columns(self, width: int) -> Sequence[Column]:
            self.width = width
            return super().columns(width)

    source = Widths()
    app = ListApp(source)
    async with app.run_test(size=(120, 20)) as pilot:
        await shown(app, "row 19")
        await pilot.resize_terminal(60, 20)
        listed = app.query_one(VirtualList)
        await until(lambda: source.width == listed.scrollable_content_region.width < 60)


def test_searched_words_are_marked_the_last_also_as_a_beginning() -> None:
    from lora_tui.tui.widgets.found_words import marked

    lines = [[("Retry the fetcher, retrying", ""), (" <SECRET:fetch:1>", "redacted")], [("prefetch", "output")]]
    assert list(marked(lines, "retry fetch")) == [
        [
            ("Retry", "found"),
            (" the ", ""),
            ("fetcher", "found"),
            (", retrying", ""),
            (" <SECRET:", "redacted"),
            ("fetch", "redacted"),
            (":1>", "redacted"),
        ],
        [("prefetch", "output")],
    ]
    assert list(marked(lines, "?!")) == lines
