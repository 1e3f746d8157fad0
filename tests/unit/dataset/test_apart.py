"""What comes in later leaves the rows of earlier versions where they were."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from candidates import candidate
from lora_tui.dataset.apart import Apart, apart
from lora_tui.dataset.candidate import Candidate
from lora_tui.dataset.earlier_versions import Earlier
from lora_tui.dataset.model import Row, RowMessage
from lora_tui.dataset.split import assign

SHARES = (80, 10, 10)


def session(name: str, rows: int, since: int = 0) -> list[Candidate]:
    return [candidate(f"{name}{at}", root=name, created=since + at) for at in range(rows)]


def earlier(train: list[Candidate], test: list[Candidate]) -> Earlier:
    return Earlier(1, frozenset(item.id for item in test), frozenset(), frozenset(item.key for item in train))


def left(rows: list[Candidate], pairs: list[tuple[str, str]], before: Earlier) -> Apart:
    """The rows' texts say which are near-duplicates, so that looking again finds the same."""
    place = {item.id: at for at, item in enumerate(rows)}
    joined = sorted((min(place[one], place[other]), max(place[one], place[other]), 0.9) for one, other in pairs)
    read = {at: _row(rows[at].id, pairs) for at in range(len(rows))}
    return apart(rows, read.__getitem__, joined, before, SHARES)


def _row(identity: str, pairs: list[tuple[str, str]]) -> Row:
    blocks = [
        "```\n" + "\n".join(f"let {''.join(pair)}_{at} = {at};" for at in range(30)) + "\n```"
        for pair in pairs
        if identity in pair
    ]
    return Row(identity, [RowMessage("user", "Do"), RowMessage("assistant", "\n\n".join(blocks) or "Done")])


def test_a_new_row_like_a_row_of_test_and_like_one_of_a_large_train_group_moves_nothing() -> None:
    train, test, new = session("large", 60), session("tested", 5, 100), session("new", 3, 200)
    rows = [*train, *test, *new]
    found = left(rows, [("new1", "tested0"), ("new1", "large7")], earlier(train, test))
    assert [(item.id, item.reason) for item in found.rejected] == [
        ("new1", "belongs to rows of train and to rows of test")
    ]
    assert [item.id for item in found.candidates] == [item.id for item in rows if item.id != "new1"]
    before = earlier(train, test)
    placed = assign(found.candidates, found.pairs, SHARES, 42, before.test, before.validation, before.train).placed
    assert placed[:65] == ["train"] * 60 + ["test"] * 5


def test_pairs_among_what_stays_are_named_by_its_places() -> None:
    train, test, new = session("large", 4), session("tested", 2, 100), session("new", 3, 200)
    pairs = [("new0", "tested0"), ("new0", "large1"), ("new2", "large3")]
    found = left([*train, *test, *new], pairs, earlier(train, test))
    assert [item.id for item in found.rejected] == ["new0"]
    names = [(found.candidates[one].id, found.candidates[other].id) for one, other, _ in found.pairs]
    assert names == [("large3", "new2")]


def test_a_large_new_session_with_one_row_like_a_row_of_test_trains_without_that_row() -> None:
    train, test, new = session("a", 20), session("b", 3, 50), session("new", 50, 100)
    found = left([*train, *test, *new], [("new0", "b1")], earlier(train, test))
    assert [(item.id, item.reason) for item in found.rejected] == [
        ("new0", "belongs to rows of test, which has its share")
    ]


def test_a_session_of_test_that_goes_on_fills_test_to_half_as_much_again_as_its_share() -> None:
    train, test, more = session("a", 90), session("b", 10, 100), session("b", 50, 200)[10:]
    rows = [*train, *test, *more]
    found = left(rows, [], earlier(train, test))
    assert Counter(item.root for item in found.candidates) == {"a": 90, "b": 21}  # 15 % of 140 rows
    assert {item.reason for item in found.rejected} == {"belongs to rows of test, which has its share"}


def test_without_an_earlier_version_and_for_rows_of_one_split_nothing_is_left_out() -> None:
    train, test, new = session("a", 20), session("b", 3, 50), session("new", 5, 100)
    pairs = [("a3", "b1"), ("new0", "b1"), ("new1", "a2")]
    rows = [*train, *test, *new]
    assert left(rows, pairs, Earlier()).rejected == []
    assert left(rows, [("new1", "a2"), ("new2", "a9")], earlier(train, test)).rejected == []


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_whatever_comes_in_old_rows_of_different_splits_stay_apart_and_test_does_not_leak(seed: int) -> None:
    r = random.Random(seed)
    rows = [candidate(f"o{at}", root=f"s{r.randrange(30)}", created=at) for at in range(r.randint(10, 60))]
    first = assign(rows, [], SHARES, seed)
    marks = {
        split: frozenset(item.id for item, where in zip(rows, first.placed, strict=True) if where == split)
        for split in ("train", "validation", "test")
    }
    new = [
        candidate(
            f"n{at}",
            root=r.choice((f"s{r.randrange(30)}", f"t{r.randrange(5)}")),
            created=1_000 + at,
            origin=r.choices(("session", "synthetic"), (9, 1))[0],
        )
        for at in range(r.randint(1, 30))
    ]
    grown = rows + new
    pairs = sorted({(r.choice(grown).id, r.choice(new).id) for _ in range(r.randint(0, 20))})
    before = Earlier(1, marks["test"], marks["validation"], marks["train"])
    found = left(grown, [pair for pair in pairs if pair[0] != pair[1]], before)
    assert {item.id for item in found.rejected} <= {item.id for item in new}
    assert len(found.candidates) + len(found.rejected) == len(grown)
    second = assign(found.candidates, found.pairs, SHARES, seed, before.test, before.validation, before.train)
    placed = {item.id: where for item, where in zip(found.candidates, second.placed, strict=True)}
    groups = {item.id: group for item, group in zip(found.candidates, second.groups, strict=True)}
    held_out = {groups[item] for item in marks["test"] | marks["validation"]}
    assert not held_out & {groups[item] for item in marks["train"]}
    assert all(placed[item] == "test" for item in marks["test"])
    assert second.leakage.leaked == 0
