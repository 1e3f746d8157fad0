"""General conversations in train, against forgetting."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest

from lora_tui.dataset import general
from lora_tui.dataset.model import Rejected, Row
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.profiles import Data
from secret_values import filled

GITHUB, _ = filled("ghp_{a36}")

CHATS = [
    {"messages": [{"role": "user", "content": f"Question {n}?"}, {"role": "assistant", "content": f"Answer {n}."}]}
    for n in range(60)
]


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    return written(tmp_path / "general.jsonl", CHATS)


def written(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def drawn(path: Path, number: int, seed: int = 1, **options: object) -> tuple[list[Row], list[Rejected]]:
    looked = general.look_through(str(path), seed)
    found = list(general.draw(looked, number, Data(), **options))  # type: ignore[arg-type]
    return (
        [item[1] for item in found if not isinstance(item, Rejected)],
        [item for item in found if isinstance(item, Rejected)],
    )


def answers(rows: list[Row]) -> set[str]:
    return {row.messages[-1].content for row in rows}


def test_as_many_conversations_as_asked_for_are_drawn_by_the_seed(chats: Path) -> None:
    rows, rejected = drawn(chats, 20)
    assert len(answers(rows)) == 20
    assert rejected == []
    assert drawn(chats, 20)[0] == rows
    assert answers(drawn(chats, 20, seed=2)[0]) != answers(rows)
    assert answers(drawn(chats, 30)[0]) > answers(rows)  # a larger share keeps what a smaller one drew
    assert {(row.origin, row.language, row.source) for row in rows} == {("replay", "chat", "chat")}
    assert rows[0].session.startswith("general.jsonl:")


def test_the_order_of_the_file_does_not_decide_what_is_drawn_nor_do_repeated_lines(chats: Path, tmp_path: Path) -> None:
    mixed = [*CHATS, *CHATS[:10]]
    random.Random(3).shuffle(mixed)
    assert answers(drawn(written(tmp_path / "mixed.jsonl", mixed), 20)[0]) == answers(drawn(chats, 20)[0])
    assert general.look_through(str(tmp_path / "mixed.jsonl"), 1).conversations == 60


def test_a_file_that_holds_fewer_gives_all_it_has_and_it_is_said(chats: Path) -> None:
    assert len(drawn(chats, 100)[0]) == 60
    looked = general.look_through(str(chats), 1)
    assert general.notes(looked, 60, 960, 0.1) == (
        "replay: all 60 conversations of general.jsonl, 6% of train (10% wanted)",
    )
    assert general.notes(looked, 40, 400, 0.1) == ("replay: 40 of 60 conversations of general.jsonl, 10% of train",)


@pytest.mark.parametrize(("train", "share", "number"), [(360, 0.1, 40), (0, 0.1, 0), (100, 0.0, 0), (10, 0.5, 10)])
def test_the_share_is_of_the_whole_train(train: int, share: float, number: int) -> None:
    assert general.wanted(train, share) == number


@pytest.mark.parametrize(
    "row",
    [
        {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]},
        {"instruction": "Hi", "input": "", "output": "Hello"},
        {"prompt": "Hi", "completion": "Hello"},
        {"text": "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello<|im_end|>\n"},
    ],
)
@pytest.mark.parametrize("kind", ["jsonl", "array", "gzip"])
def test_every_chat_format_can_be_replayed(row: dict[str, object], kind: str, tmp_path: Path) -> None:
    path = tmp_path / "chats.json"
    path.write_text(json.dumps([row] if kind == "array" else row))
    if kind == "gzip":
        path.write_bytes(gzip.compress(path.read_bytes()))
    ((only,), _) = drawn(path, 5)
    assert [(message.role, message.content) for message in only.messages] == [("user", "Hi"), ("assistant", "Hello")]


def test_no_secret_passes(tmp_path: Path) -> None:
    row = {"messages": [{"role": "user", "content": f"My key: {GITHUB}"}, {"role": "assistant", "content": "Thanks"}]}
    looked = general.look_through(str(written(tmp_path / "chats.jsonl", [row])), 1)
    ((candidate, only),) = general.draw(looked, 5, Data())  # type: ignore[misc]
    assert GITHUB not in f"{candidate} {only}"
    assert "<SECRET:" in only.messages[0].content
    assert "<SECRET:" in candidate.request
    assert candidate.findings


def test_what_cannot_be_used_is_listed_and_others_take_its_place(chats: Path, tmp_path: Path) -> None:
    unlearned = [
        {"messages": [{"role": "user", "content": f"Empty {n}"}, {"role": "assistant", "content": ""}]}
        for n in range(300)
    ]
    path = written(tmp_path / "mixed.jsonl", [{"note": "no chat"}, *unlearned, *CHATS])
    rows, rejected = drawn(path, 50)
    assert len(rows) == 50
    reasons = {item.reason for item in rejected}
    assert reasons == {"replay: cannot be read", "replay: nothing to learn from"}
    unreadable = next(item for item in rejected if "cannot be read" in item.reason)
    assert unreadable.about.startswith("mixed.jsonl:1: none of the known formats")
    assert "replay: 1 row of mixed.jsonl cannot be read" in general.notes(
        general.look_through(str(path), 1), 50, 500, 0.1
    )


def test_what_resembles_a_suite_or_a_test_row_stays_out(chats: Path) -> None:
    rows, rejected = drawn(chats, 60, refuse=lambda row: "like a prompt" if "7" in row.messages[0].content else "")
    assert not any("7" in answer for answer in answers(rows))
    assert {item.reason for item in rejected} == {"replay: like a prompt"}
    assert len(rows) + len(rejected) == 60


def test_the_very_rows_can_be_made_again_and_a_changed_file_is_noticed(chats: Path) -> None:
    rows, _ = drawn(chats, 20)
    stamp = general.look_through(str(chats), 1).stamp
    found = list(general.again(chats, {row.key for row in rows}, Data()))
    assert [row for _, row in found] == rows  # type: ignore[misc]
    assert not general.changed(chats, stamp)
    written(chats, CHATS[1:])
    assert general.changed(chats, stamp)


def test_a_relative_file_is_found_in_the_workspace(chats: Path) -> None:
    assert general.look_through("general.jsonl", 1, [chats.parent]).path == chats


@pytest.mark.parametrize("content", [None, "", "no chat at all\n", '{"a": 1}\n'])
def test_a_file_without_conversations_is_refused_with_what_to_do(content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "general.jsonl"
    if content is not None:
        path.write_text(content)
    with pytest.raises(BadInput) as error:
        general.look_through(str(path), 1)
    assert "general.jsonl" in error.value.where
    assert "replay" in error.value.fix
