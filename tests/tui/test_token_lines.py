"""A row token by token in the app: every theme, 80×24, and without colour."""

from __future__ import annotations

from functools import partial

import pytest
from on_screen import text_of
from textual.app import App, ComposeResult

from lora_tui.jobs.token_view import Head, Part, Piece, Said, View
from lora_tui.tui.themes import VARIABLE_DEFAULTS, load_themes
from lora_tui.tui.widgets.token_lines import token_lines
from lora_tui.tui.widgets.transcript import Transcript
from lora_tui.workspace.layout import Workspace

PIECES = (
    Piece("<|im_start|>", (1,), 0, "<|im_start|>"),
    Piece("user", (2,)),
    Piece("\n", (3,)),
    Piece("Why", (4,)),
    Piece(" 日本\x1b[2J", (5, 6)),
    Piece("<|im_end|>", (8,), 0, "<|im_end|>"),
    Piece("\n", (3,)),
    Piece("<|im_start|>", (1,), 0, "<|im_start|>"),
    Piece("assistant", (9,)),
    Piece("\n", (3,)),
    *(Piece(f" word{number}", (100 + number,), 1) for number in range(60)),
    Piece("<|im_end|>", (8,), 1, "<|im_end|>"),
)
PART = Part(1, 72, 61, PIECES, (Head(0, 0), Head(7, 1)))
VIEW = View(1, "3f2a", "train", 3, 64, 144, 122, (Said("user"), Said("assistant")), (PART, PART))


class TokensApp(App[None]):
    def __init__(self, workspace: Workspace, theme: str, view: View = VIEW) -> None:
        super().__init__()
        self._view = view
        for known in load_themes(workspace)[0]:
            self.register_theme(known)
        self.theme = theme

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return VARIABLE_DEFAULTS

    def compose(self) -> ComposeResult:
        yield Transcript()

    def on_mount(self) -> None:
        self.query_one(Transcript).show_lines(partial(token_lines, self._view))
        self.query_one(Transcript).focus()


@pytest.mark.parametrize("theme", ["lora-dark", "lora-light", "lora-ansi"])
async def test_learned_and_context_differ_in_every_theme_and_by_marks_alone(workspace: Workspace, theme: str) -> None:
    app = TokensApp(workspace, theme)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        screen = text_of(app)
        assert "‹im_start›user↵" in screen
        assert "Why 日本␛[2J‹im_end›↵" in screen
        assert "▌ ⟦ word0 word1" in screen
        reader = app.query_one(Transcript)
        styles = {tone: reader.get_component_rich_style(f"transcript--{tone}") for tone in ("trained", "context")}
        assert styles["trained"].color != styles["context"].color
        assert styles["trained"].bold


async def test_unfolded_every_token_has_a_line(workspace: Workspace) -> None:
    app = TokensApp(workspace, "lora-dark")
    async with app.run_test(size=(80, 24)) as pilot:
        app.query_one(Transcript).action_unfold()
        await pilot.pause()
        assert "      4         4 Why" in text_of(app)
        app.query_one(Transcript).action_unfold()
        await pilot.pause()
        assert "Why 日本␛[2J‹im_end›↵" in text_of(app)


async def test_a_cut_is_reached_by_scrolling_and_no_line_is_wider_than_the_window(workspace: Workspace) -> None:
    second = Part(2, 72, 61, PIECES, (Head(0, 0), Head(7, 1)), "edit")
    view = View(1, "3f2a", "train", 3, 64, 144, 122, (Said("user"), Said("assistant")), (PART, second))
    app = TokensApp(workspace, "lora-ansi", view)
    async with app.run_test(size=(40, 24)) as pilot:
        app.query_one(Transcript).action_last()
        await pilot.pause()
        screen = text_of(app)
        assert "cut here: part 2 of 2, at an edit" in screen
        assert "‹im_end›⟧" in screen
        assert "word59" in screen
