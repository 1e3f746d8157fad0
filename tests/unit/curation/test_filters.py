"""Finding examples: each condition by itself, and the orders."""

from __future__ import annotations

import msgspec
import pytest

from lora_tui.cli.filters import in_words, parse_filter
from lora_tui.curation import examples, labels
from lora_tui.curation.filters import Filter
from lora_tui.curation.orders import ORDERS
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace
from stories import says, store_session, user

# What each example is set to; the names are columns.
SET = {
    1: {"language": "rust", "confidence": 0.9, "outcome": "success", "opinion": "rust", "characters": 100},
    2: {"language": "rust", "confidence": 0.5, "outcome": "failed", "opinion": "ruby", "characters": 5000},
    3: {"language": "ruby", "confidence": 0.7, "model": "lab/other", "secrets": 2, "characters": 300},
    4: {"language": "none", "confidence": 0.0, "agent": "plan", "characters": 20, "opinion": "go"},
    5: {"language": "rust", "confidence": 0.8, "dropped": "looping", "characters": 50},
    6: {"language": "rust", "confidence": 0.6, "cluster": 1, "characters": 700},
}


@pytest.fixture
def varied(workspace: Workspace) -> Workspace:
    for number in SET:
        told = [user(f"Please do task number {number}"), says(f"Did {number}, differently from all the others.")]
        store_session(workspace, f"ses_{number}", told, created=1_790_000_000_000 + number * 1000)
    examples.refresh(workspace)
    with workspace.transaction() as connection:
        for number, columns in SET.items():
            for column, value in columns.items():
                connection.execute(f"UPDATE example SET {column} = ? WHERE id = ?", (value, number))
        connection.execute(
            "UPDATE session SET source = 'git', licence = 'MIT', directory = '/src/app/core' WHERE id = 3"
        )
        connection.execute("UPDATE session SET source = 'augment', directory = '/src/app' WHERE id = 4")
        connection.execute("UPDATE session SET directory = '/src/application' WHERE id = 1")
    return workspace


def found(workspace: Workspace, **conditions: object) -> set[int]:
    return set(examples.ids(workspace, msgspec.convert(conditions, Filter)))


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, {1, 2, 3, 4, 6}),
        ({"outcomes": ["success", "failed"]}, {1, 2}),
        ({"models": ["lab/other"]}, {3}),
        ({"agents": ["plan"]}, {4}),
        ({"secrets": True}, {3}),
        ({"disagree": True}, {2}),
        ({"near_duplicates": True}, {6}),
        ({"cluster": 1}, {6}),
        ({"licences": ["MIT", "ISC"]}, {3}),
        ({"origins": ["commit"]}, {3}),
        ({"origins": ["session", "synthetic"]}, {1, 2, 4, 6}),
        ({"directory": "/src/app"}, {3, 4}),
        ({"directory": "/src/app/"}, {3, 4}),
        ({"directory": "/"}, {1, 2, 3, 4, 6}),
        ({"min_characters": 300, "max_characters": 700}, {3, 6}),
        ({"dropped": "looping"}, {5}),
        ({"dropped": "any"}, {5}),
        ({"dropped": "empty"}, set()),
        ({"languages": ["rust"], "outcomes": ["failed"], "min_confidence": 0.4}, {2}),
    ],
)
def test_each_condition_narrows_the_list(varied: Workspace, conditions: dict[str, object], expected: set[int]) -> None:
    assert found(varied, **conditions) == expected


def test_tags_are_whole_words(varied: Workspace) -> None:
    labels.decide(varied, [1], "tag", "api", author="ana")
    labels.decide(varied, [2], "tag", "api-old", author="ana")
    assert found(varied, tags=["api"]) == {1}
    assert found(varied, tags=["api", "api-old"]) == {1, 2}


def test_the_orders_put_first_what_they_say(varied: Workspace) -> None:
    labels.decide(varied, [6], "accept", author="ana")
    labels.decide(varied, [6], "reject", author="ben")
    labels.decide(varied, [3], "language", "swift", author="ana")
    orders = {order: list(examples.ids(varied, order=order)) for order in ORDERS}
    assert orders["recent"] == [6, 4, 3, 2, 1]
    assert orders["uncertain"] == [4, 2, 6, 3, 1]
    assert orders["disagree"] == [2, 6, 3, 1, 4]
    assert orders["rarest"] == [3, 6, 2, 1, 4]
    assert orders["longest"] == [2, 6, 3, 1, 4]
    assert orders["shortest"] == orders["longest"][::-1]
    assert sorted(orders["random"]) == [1, 2, 3, 4, 6]


def test_a_random_order_is_repeatable_and_another_seed_gives_another(varied: Workspace) -> None:
    drawn = [tuple(examples.ids(varied, order="random", seed=str(seed))) for seed in range(8)]
    assert drawn[0] == tuple(examples.ids(varied, order="random", seed="0"))
    assert len(set(drawn)) > 1


def test_a_filter_in_words_means_the_same_read_again() -> None:
    typed = "language=ruby,go tag=api origin=commit has_note=true min_confidence=0.5 dropped=looping ring buffer"
    assert parse_filter(in_words(parse_filter(typed))) == parse_filter(typed)
    assert parse_filter(typed).text == "ring buffer"
    assert in_words(Filter()) == "every example"


def test_a_filter_with_an_impossible_value_is_refused() -> None:
    for typed in ("outcome=good", "has_note=maybe", "cluster=x", "colour=red", "", "max_characters=-1"):
        with pytest.raises(BadInput):
            parse_filter(typed)
