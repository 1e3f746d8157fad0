"""Version: every row of a dataset version, what is wrong with it, and the audit beside it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from screen_text import shown, text_of, until

import run_stories
from lora_tui.dataset import versions
from lora_tui.dataset.model import Count, Dataset, Row, RowMessage
from lora_tui.jobs.audit import Finding
from lora_tui.jobs.token_view import Head, Part, Piece, Said, View
from lora_tui.tui.app import LoraTuiApp
from lora_tui.workspace import toml
from lora_tui.workspace.layout import Workspace
from run_stories import NOW

TOPICS = ("parser", "lexer", "router", "queue", "cache", "graph", "matrix", "timer")
FINDINGS = (
    Finding(
        "error",
        "suite-in-train",
        "a prompt of the suite five stands in train",
        ("row-queue",),
        1,
        fix="Build again: it is left out.",
    ),
    Finding("warning", "too-long", "longer than max_length 1,024", ("row-lexer", "row-queue"), 2),
)


def row(topic: str, split: str) -> Row:
    """A request with context before it that is not learned."""
    return Row(
        id=f"row-{topic}",
        messages=[
            RowMessage(role="user", content="What is in this project?"),
            RowMessage(role="assistant", content="A compiler.", weight=0),
            RowMessage(role="user", content=f"Write the {topic} of it."),
            RowMessage(role="assistant", content=f"```rust\nstruct {topic.title()};\n```"),
        ],
        language="rust",
        source="opencode",
        session=f"ses_{split}_{topic}",
        model="lab/model",
        repository="compiler",
    )


@pytest.fixture
def version(workspace: Workspace) -> Dataset:
    """rust@1: six rows to train on, one to validate, one to test."""
    run_stories.write_profile(workspace)
    run_stories.write_base(workspace)
    made = run_stories.write_dataset(workspace)
    rows = {"train": TOPICS[:6], "validation": TOPICS[6:7], "test": TOPICS[7:]}
    for split, topics in rows.items():
        lines = b"".join(msgspec.json.encode(row(topic, split)) + b"\n" for topic in topics)
        (made.folder / f"{split}.jsonl").write_bytes(lines)
    manifest = msgspec.structs.replace(
        made.manifest,
        rows={split: len(topics) for split, topics in rows.items()},
        counts=(Count("rust", "opencode", 6, 1, 1),),
    )
    (made.folder / "manifest.toml").write_text(toml.dump(manifest))
    return versions.find(workspace, "rust@1")


def app(workspace: Workspace) -> LoraTuiApp:
    return LoraTuiApp(workspace, "dataset", clock=lambda: NOW)


async def opened(pilot: Any) -> str:
    await shown(pilot.app, "rust@1")
    await pilot.press("enter")
    return await shown(pilot.app, "8 rows", "Write the parser of it.")


async def test_enter_lists_every_row_by_the_request_it_learns_from(workspace: Workspace, version: Dataset) -> None:
    async with app(workspace).run_test(size=(80, 24)) as pilot:
        text = await opened(pilot)
        assert "What is in this project?" not in text
        assert [line.split()[0] for line in text.splitlines() if "Write the" in line].count("train") == 6
        await pilot.press("s", "s")
        await shown(pilot.app, "1 of 8 rows", "validation", "Write the matrix of it.")
        await until(lambda: "Write the parser of it." not in text_of(pilot.app))


async def test_a_row_is_read_with_its_context_marked_as_not_learned(workspace: Workspace, version: Dataset) -> None:
    async with app(workspace).run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await pilot.press("enter")
        await shown(pilot.app, "○ not learned from", "A compiler.", "compiler · ses_train_parser")
        await pilot.press("j")
        await shown(pilot.app, "ses_train_lexer")
        await pilot.press("escape", "q")
        await shown(pilot.app, "versions")


async def test_words_find_the_rows_that_hold_them(workspace: Workspace, version: Dataset) -> None:
    async with app(workspace).run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await pilot.press("slash", *"struct cache", "enter")
        await shown(pilot.app, "1 of 8 rows", "“struct cache”", "Write the cache of it.")
        await pilot.press("escape")
        await shown(pilot.app, "8 rows", "Write the parser of it.")


async def test_what_was_found_marks_its_rows_and_lists_them(workspace: Workspace, version: Dataset) -> None:
    run_stories.write_audit(workspace, version, findings=FINDINGS)
    async with app(workspace).run_test(size=(80, 24)) as pilot:
        text = await opened(pilot)
        await shown(pilot.app, "1 error, 1 warning")

        await pilot.press("f")
        await shown(pilot.app, "error suite-in-train", "warning too-long")
        await pilot.press("down", "enter")
        text = await shown(pilot.app, "1 of 8 rows", "suite-in-train", "Write the queue of it.")
        assert next(line for line in text.splitlines() if "the queue" in line).split()[0] == "✗"
        await pilot.press("escape")
        await shown(pilot.app, "8 rows")
        await pilot.press("n")
        await pilot.press("enter")
        await shown(pilot.app, "ses_train_lexer", "warning too-long")


async def test_the_audit_is_read_beside_the_rows(workspace: Workspace, version: Dataset) -> None:
    run_stories.write_audit(workspace, version, findings=FINDINGS)
    async with app(workspace).run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await shown(pilot.app, "1 error, 1 warning")
        await pilot.press("a")
        await shown(pilot.app, "error suite-in-train", "Build again: it is left out.", "row-queue")
        await pilot.press("escape")
        await shown(pilot.app, "Write the timer of it.")


async def test_without_a_base_one_is_asked_for_and_said_what_is_missing(
    workspace: Workspace, version: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lora_tui.tui.screens.version import models

    (workspace.root / "demo" / "base" / "config.json").unlink()
    monkeypatch.setattr(models, "profile_paths", lambda found: {"tiny": Path("tiny.toml")})
    async with app(workspace).run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await shown(pilot.app, "m chooses the model")
        await pilot.press("t")
        await shown(pilot.app, "There is no model", "m.")
        await pilot.press("escape", "m")
        await shown(pilot.app, "tiny: demo", "been made yet")
        await pilot.press("enter")
        await shown(pilot.app, "This did not work", "has not been made yet")


async def test_a_row_that_cannot_be_read_does_not_stop_the_others(workspace: Workspace, version: Dataset) -> None:
    path = version.folder / "train.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = b'{"id":"row-lexer","messages":[{"role":3}]}\n'
    path.write_bytes(b"".join(lines))
    async with app(workspace).run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await shown(pilot.app, "cannot be read")
        await pilot.press("enter", "j")
        await shown(pilot.app, "this row cannot be read")
        await pilot.press("j")
        await shown(pilot.app, "ses_train_router")


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
@pytest.mark.usefixtures("utc")
def test_looks(workspace: Workspace, version: Dataset, size: tuple[int, int], snap_compare: Any) -> None:
    run_stories.write_audit(workspace, version, findings=FINDINGS)

    async def ready(pilot: Any) -> None:
        await opened(pilot)
        await shown(pilot.app, "1 error, 1 warning")
        if size[0] > 100:
            await shown(pilot.app, "A compiler.")
        else:
            await pilot.press("a")
            await shown(pilot.app, "error suite-in-train")

    assert snap_compare(app(workspace), terminal_size=size, run_before=ready)


class _ByHand:
    """Stands where the engine's tokenizer works: one view, made by hand."""

    alive = True

    def __init__(self, base: str) -> None:
        self.base = base

    def ask(self, folder: Path, split: str, row: str, max_length: int) -> View:
        said = (Said("user"), Said("assistant", 0), Said("user"), Said("assistant"))
        pieces, heads = [], []
        for number, (role, text) in enumerate(
            (
                ("user", "What is in this project?"),
                ("assistant", "A compiler."),
                ("user", "Write the parser of it."),
                ("assistant", "```rust\nstruct Parser<'a> {\n    rest: &'a str,\n}\n```\nIt  reads 日本 too."),
            )
        ):
            learned = int(number == 3)
            heads.append(Head(len(pieces), number))
            pieces += [Piece("<|im_start|>", (1,), 0, "<|im_start|>"), Piece(role, (9,)), Piece("\n", (3,))]
            words = re.findall(r"\n|\s?[^\s]{1,5}|\s", text)
            pieces += [Piece(word, (100 + at,), learned) for at, word in enumerate(words)]
            pieces += [Piece("<|im_end|>", (2,), learned, "<|im_end|>"), Piece("\n", (3,), learned)]
        loss = sum(piece.loss for piece in pieces)
        part = Part(1, len(pieces), loss, tuple(pieces), tuple(heads))
        return View(1, "row-parser", "train", 1, max_length, len(pieces), loss, said, (part,))

    def close(self) -> None:
        pass


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
@pytest.mark.usefixtures("utc")
def test_tokens_look(
    workspace: Workspace, version: Dataset, size: tuple[int, int], snap_compare: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lora_tui.tui.screens.version import reading

    monkeypatch.setattr(reading, "Looker", _ByHand)

    async def ready(pilot: Any) -> None:
        await opened(pilot)
        await pilot.press("t")
        await shown(pilot.app, "‹im_start›user", "A compiler.", "weight 0")

    assert snap_compare(app(workspace), terminal_size=size, run_before=ready)


@pytest.mark.usefixtures("utc")
def test_the_audit_looks_wide(workspace: Workspace, version: Dataset, snap_compare: Any) -> None:
    run_stories.write_audit(workspace, version, findings=FINDINGS)

    async def ready(pilot: Any) -> None:
        await opened(pilot)
        await pilot.press("a")
        await shown(pilot.app, "error suite-in-train", "tokens per training row", "longer than max_length, or")

    assert snap_compare(app(workspace), terminal_size=(160, 50), run_before=ready)


async def test_findings_that_name_no_row_are_no_list_to_choose_from(workspace: Workspace, version: Dataset) -> None:
    run_stories.write_audit(workspace, version)
    async with app(workspace).run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await shown(pilot.app, "no findings")
        await pilot.press("f")
        await shown(pilot.app, "Nothing was found about any row")
