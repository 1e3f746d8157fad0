"""Splits: nothing of test is seen in train, what was tested stays tested, every language has its share."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lora_tui.dataset.candidate import Candidate
from lora_tui.dataset.split import Assigned, assign, roots

SHARES = (80, 10, 10)


def candidate(number: int, **more: Any) -> Candidate:
    """Row r<number> of session s<number>, as old as its number is small."""
    known: dict[str, Any] = {
        "id": f"r{number:05}",
        "key": f"k{number:05}",
        "example": number,
        "language": "rust",
        "source": "opencode",
        "origin": "session",
        "shape": "agent",
        "model": "lab/model",
        "licence": "",
        "session": f"s{number:05}",
        "root": f"s{number:05}",
        "repository": "/home/dev/app",
        "created": 1_790_000_000_000 + number,
        "cluster": 0,
        "characters": 100,
        "request": "Do it",
        "by_person": True,
    }
    return Candidate(**known | more)


def split_of(assigned: Assigned, candidates: list[Candidate]) -> dict[str, str]:
    return {item.id: split for item, split in zip(candidates, assigned.placed, strict=True)}


def test_the_newest_rows_are_tested_and_the_next_newest_validate() -> None:
    rows = [candidate(number) for number in range(300)]
    placed = assign(rows, [], SHARES, 42).placed
    assert placed == ["train"] * 240 + ["validation"] * 30 + ["test"] * 30


def test_any_ratio_can_be_asked_for() -> None:
    rows = [candidate(number) for number in range(90)]
    for shares in ((100, 0, 0), (90, 10, 0), (80, 0, 20), (0, 50, 50), (50, 25, 25)):
        counted = Counter(assign(rows, [], shares, 1).placed)
        for name, share in zip(("train", "validation", "test"), shares, strict=True):
            assert abs(counted[name] - 90 * share / 100) <= 1


def test_with_four_repositories_whole_ones_are_held_out() -> None:
    rows = [candidate(number, repository=f"/home/dev/{number % 10}") for number in range(300)]
    assigned = assign(rows, [], SHARES, 42)
    splits = defaultdict(set)
    for row, split in zip(rows, assigned.placed, strict=True):
        splits[row.repository].add(split)
    assert all(len(found) == 1 for found in splits.values())
    assert Counter(assigned.placed) == {"train": 240, "validation": 30, "test": 30}
    assert "whole repositories" in assigned.rule
    assert len({tuple(assign(rows, [], SHARES, seed).placed) for seed in range(20)}) > 5, "drawn from the seed"


def test_four_repositories_of_one_size_leave_one_for_test() -> None:
    rows = [candidate(number, repository=f"/home/dev/{number % 4}") for number in range(200)]
    assigned = assign(rows, [], SHARES, 1)
    tested = {row.repository for row, split in zip(rows, assigned.placed, strict=True) if split == "test"}
    assert len(tested) == 1
    assert any("50 rows are in test, more than asked for" in note for note in assigned.notes)


def test_a_language_that_no_whole_repository_has_alone_is_tested_by_its_newest_rows() -> None:
    rows = [candidate(number, repository=f"/home/dev/{number % 10}") for number in range(200)]
    rows += [candidate(number, repository="/home/dev/big", language="ruby") for number in range(200, 500)]
    assigned = assign(rows, [], SHARES, 42)
    ruby = [split for row, split in zip(rows, assigned.placed, strict=True) if row.language == "ruby"]
    assert ruby[-30:] == ["test"] * 30
    assert any("ruby" in note and "newest" in note for note in assigned.notes)


def test_every_language_has_its_share_and_a_common_one_twenty_rows() -> None:
    rows = [candidate(number, language="rust") for number in range(1000)]
    rows += [candidate(1000 + number, language="ruby") for number in range(120)]
    rows += [candidate(2000 + number, language="swift") for number in range(40)]
    assigned = assign(rows, [], SHARES, 42)
    tested = Counter(row.language for row, split in zip(rows, assigned.placed, strict=True) if split == "test")
    assert tested == {"rust": 100, "ruby": 20, "swift": 4}
    assert assigned.notes == ("too few test rows of swift to tell: 4 (20 needed)",)


def test_a_session_stays_together_with_the_sessions_it_called() -> None:
    rows = [candidate(number, root=f"s{number // 5}", session=f"s{number}") for number in range(90)]
    assigned = assign(rows, [], SHARES, 42)
    for at in range(0, 90, 5):
        assert len(set(assigned.placed[at : at + 5])) == 1
    assert Counter(assigned.placed)["test"] == 10


def test_a_commit_stays_together_across_its_languages() -> None:
    rows = [
        candidate(number, origin="commit", root=f"{number // 2:040x}:{('ruby', 'rust')[number % 2]}")
        for number in range(200)
    ]
    assigned = assign(rows, [], SHARES, 42)
    assert all(len(set(assigned.placed[at : at + 2])) == 1 for at in range(0, 200, 2))
    assert "test" in assigned.placed


def test_near_duplicates_are_in_one_split_and_the_random_split_would_part_them() -> None:
    rows = [candidate(number) for number in range(300)]
    pairs = [(number, number + 150, 0.9) for number in range(150)]
    assigned = assign(rows, pairs, SHARES, 42)
    assert all(assigned.placed[one] == assigned.placed[other] for one, other, _ in pairs)
    assert assigned.leakage.leaked == 0
    assert assigned.leakage.test_rows == 30
    assert assigned.leakage.pairs == 150
    assert 0.6 < assigned.leakage.at_random < 0.95  # four of five partners would be in train


def test_synthetic_rows_train_and_so_does_what_they_resemble() -> None:
    rows = [candidate(number) for number in range(50)]
    rows += [candidate(100 + number, origin="synthetic") for number in range(50)]
    assigned = assign(rows, [(49, 60, 0.8)], SHARES, 42)
    assert set(assigned.placed[50:]) == {"train"}
    assert assigned.placed[49] == "train", "the newest row, but a synthetic one was made of it"
    assert assigned.placed[48] == "test"


def test_what_was_in_test_stays_there_with_all_that_resembles_it() -> None:
    rows = [candidate(number) for number in range(90)]
    assigned = assign(rows, [(3, 4, 0.9)], SHARES, 42, old_test={"r00003", "k00007"}, old_validation={"r00010"})
    assert [assigned.placed[at] for at in (3, 4, 7, 10)] == ["test", "test", "test", "validation"]
    assert Counter(assigned.placed) == {"train": 72, "validation": 9, "test": 9}


def test_a_synthetic_row_like_a_row_that_stays_in_test_is_in_no_split() -> None:
    rows = [candidate(number) for number in range(20)] + [candidate(30, origin="synthetic")]
    assigned = assign(rows, [(3, 20, 0.9)], SHARES, 42, old_test={"r00003"})
    assert assigned.placed[3] == "test"
    assert assigned.placed[20] == ""
    assert any("1 synthetic rows are in no split" in note for note in assigned.notes)


def test_a_repository_that_was_held_out_stays_out_when_it_grows() -> None:
    rows = [candidate(number, repository=f"/home/dev/{number % 10}") for number in range(90)]
    first = split_of(assign(rows, [], SHARES, 42), rows)
    (held,) = {row.repository for row in rows if first[row.id] == "test"}
    grown = rows + [candidate(1000 + number, repository=held) for number in range(40)]
    old = {split: {key for key, found in first.items() if found == split} for split in ("train", "validation", "test")}
    second = split_of(assign(grown, [], SHARES, 42, old["test"], old["validation"], old["train"]), grown)
    assert {second[row.id] for row in grown if row.repository == held} == {"test"}


def test_one_group_that_holds_everything_trains() -> None:
    rows = [candidate(number) for number in range(50)]
    assigned = assign(rows, [(number, number + 1, 0.8) for number in range(49)], SHARES, 42)
    assert set(assigned.placed) == {"train"}
    assert any("50 of 50 rows hang together" in note for note in assigned.notes)
    assert any("accept examples of other sessions" in note for note in assigned.notes)
    assert any("too few test rows of rust" in note for note in assigned.notes)


def test_few_rows_are_split_too() -> None:
    assert assign([], [], SHARES, 1).placed == []
    assert assign([candidate(1)], [], SHARES, 1).placed == ["train"]
    assert assign([candidate(1), candidate(2)], [], SHARES, 1).placed == ["train", "test"]
    assert assign([candidate(n) for n in range(3)], [], SHARES, 1).placed == ["train", "validation", "test"]


def test_forty_rows_of_a_dozen_sessions_give_all_three_splits() -> None:
    counted = Counter(
        assign([candidate(number, root=f"s{number % 12}") for number in range(40)], [], SHARES, 42).placed
    )
    assert 2 <= counted["validation"] <= 8
    assert 2 <= counted["test"] <= 8


def test_a_session_in_a_circle_has_a_root() -> None:
    assert roots({"a": "b", "b": "a", "c": "a"})["c"] in ("a", "b")
    assert roots({"b": "a", "c": "b"}) == {"b": "a", "c": "a"}


LANGUAGES = ("rust", "ruby", "swift", "")


@st.composite
def datasets(draw: st.DrawFn) -> tuple[list[Candidate], list[tuple[int, int, float]], tuple[int, int, int], int]:
    size = draw(st.integers(1, 160))
    r = random.Random(draw(st.integers(0, 10_000)))
    sessions, repositories = r.randint(1, size), r.randint(1, 8)
    moments = r.choice((1, 3, 1_000_000))
    alone = r.random() < 0.5  # one language in a group
    rows = []
    for number in range(size):
        session = r.randrange(sessions)
        rows.append(
            candidate(
                number,
                root=f"s{session}",
                language=LANGUAGES[session % 4] if alone else r.choice(LANGUAGES),
                repository="" if r.random() < 0.1 else f"/home/dev/{session % repositories}",
                created=r.randrange(moments),
                origin=r.choices(("session", "synthetic", "replay", "import"), (85, 5, 3, 7))[0],
            )
        )
    near = (
        [tuple(sorted(r.sample(range(size), 2))) for _ in range(r.choice((0, 0, size // 20, size)))] if size > 1 else []
    )
    test = draw(st.sampled_from((0, 1, 10, 25, 50, 100)))
    validation = draw(st.sampled_from((0, 10, 25, 50)))
    shares = (max(0, 100 - test - validation), min(validation, 100 - test), test)
    return rows, [(one, other, 0.8) for one, other in near], shares, draw(st.integers(0, 9))


@settings(max_examples=150, deadline=None)
@given(datasets(), st.randoms(use_true_random=False))
def test_whatever_comes_groups_are_whole_synthetic_trains_and_order_does_not_matter(
    told: tuple[list[Candidate], list[tuple[int, int, float]], tuple[int, int, int], int], shuffled: random.Random
) -> None:
    rows, pairs, shares, seed = told
    assigned = assign(rows, pairs, shares, seed)
    assert set(assigned.placed) <= {"train", "validation", "test"}
    assert "train" in assigned.placed
    assert assigned.leakage.leaked == 0
    splits = defaultdict(set)
    for row, group, split in zip(rows, assigned.groups, assigned.placed, strict=True):
        splits[group].add(split)
        splits[f"root {row.root}"].add(split)
        assert split == "train" or row.origin not in ("synthetic", "replay")
    assert all(len(found) == 1 for found in splits.values())
    assert all(assigned.placed[one] == assigned.placed[other] for one, other, _ in pairs)
    for split, share in zip(("validation", "test"), shares[1:], strict=True):
        assert share or split not in assigned.placed
    order = list(range(len(rows)))
    shuffled.shuffle(order)
    place = {old: new for new, old in enumerate(order)}
    again = assign(
        [rows[old] for old in order], [(place[one], place[other], near) for one, other, near in pairs], shares, seed
    )
    assert [again.placed[place[old]] for old in range(len(rows))] == assigned.placed
    assert [again.groups[place[old]] for old in range(len(rows))] == assigned.groups
    assert (again.rule, again.notes, again.leakage) == (assigned.rule, assigned.notes, assigned.leakage)


@settings(max_examples=80, deadline=None)
@given(
    st.dictionaries(st.sampled_from(LANGUAGES), st.lists(st.integers(1, 12), min_size=1, max_size=90), min_size=1),
    st.sampled_from((5, 10, 20)),
)
def test_each_language_comes_within_its_largest_session_of_its_share(sizes: dict[str, list[int]], share: int) -> None:
    rows: list[Candidate] = []
    for language, sessions in sorted(sizes.items()):
        for at, size in enumerate(sessions):
            rows += [candidate(len(rows) + more, language=language, root=f"{language}{at}") for more in range(size)]
    assigned = assign(rows, [], (90 - share, 10, share), 7)
    tested = Counter(row.language for row, split in zip(rows, assigned.placed, strict=True) if split == "test")
    for language, sessions in sizes.items():
        wanted = sum(sessions) * share / 100
        wanted = max(wanted, 20 if sum(sessions) >= 100 else 0)
        assert tested[language] <= wanted + max(sessions) + 4  # rare languages share what they would have
        if sum(sessions) * share >= 100 and len(sessions) > 1:
            assert tested[language] >= wanted - max(sessions)


@settings(max_examples=80, deadline=None)
@given(datasets(), st.integers(1, 60))
def test_what_was_in_test_stays_in_test_however_the_dataset_grows(
    told: tuple[list[Candidate], list[tuple[int, int, float]], tuple[int, int, int], int], fresh: int
) -> None:
    rows, pairs, shares, seed = told
    first = assign(rows, pairs, shares, seed)
    old = defaultdict(set)
    for row, split in zip(rows, first.placed, strict=True):
        old[split].add(row.id)
    r = random.Random(fresh)
    grown = rows + [
        candidate(
            500 + more,
            root=r.choice((f"s{r.randrange(40)}", f"new{more}")),
            origin=r.choices(("session", "synthetic"), (9, 1))[0],
            repository=f"/home/dev/{r.randrange(9)}",
            language=r.choice(LANGUAGES),
        )
        for more in range(fresh)
    ]
    bridges = [(r.randrange(len(rows)), len(rows) + r.randrange(fresh), 0.75) for _ in range(r.choice((0, fresh // 3)))]
    second = assign(grown, pairs + bridges, shares, seed, old["test"], old["validation"], old["train"])
    placed = split_of(second, grown)
    assert all(placed[row] == "test" for row in old["test"])
    assert second.leakage.leaked == 0
