"""Which of the rows that may be in are in."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candidates import candidate
from lora_tui.dataset import choose
from lora_tui.dataset.candidate import Candidate
from lora_tui.workspace.profiles import Data


def of(**repositories: int) -> list[Candidate]:
    return [
        candidate(f"{name}{number}", repository=f"/home/user/{name}" if name != "none" else "")
        for name, rows in repositories.items()
        for number in range(rows)
    ]


def repositories(rows: list[Candidate]) -> dict[str, int]:
    return dict(Counter(item.repository.rpartition("/")[2] for item in rows))


def test_a_row_like_a_suites_prompt_is_left_out_with_the_suites_name() -> None:
    kept, rejected = choose.contaminated([candidate("a", suite="tiny"), candidate("b")])
    assert [item.id for item in kept] == ["b"]
    assert rejected[0].reason == "like a prompt of the suite tiny"


def test_of_one_session_stay_what_a_person_accepted_then_what_went_well_then_the_longer_then_the_newer() -> None:
    rows = [
        candidate("person", root="s", by_person=True, characters=1),
        candidate("well", root="s", success=True, characters=2),
        candidate("long", root="s", characters=900),
        candidate("new", root="s", created=1_800_000_000_000),
        candidate("old", root="s"),
        candidate("else", root="t"),
    ]
    for most, stay in ((1, {"person"}), (2, {"person", "well"}), (3, {"person", "well", "long"})):
        kept, rejected = choose.per_session(rows, most)
        assert {item.id for item in kept} == {*stay, "else"}
        assert {item.reason for item in rejected} == {f"more than {most} row{'s' if most > 1 else ''} of one session"}
        assert {item.about for item in rejected} == {f"s: {most} of 5 rows stay"}
    assert {item.id for item in choose.per_session(rows, 4)[0]} == {"person", "well", "long", "new", "else"}
    assert choose.per_session(rows, 0) == (rows, [])


def test_of_one_repository_so_many_stay_as_the_limit_says_and_the_machine_is_not_named() -> None:
    kept, rejected = choose.per_repository(of(app=8, lib=2, none=9), 3, 1)
    assert repositories(kept) == {"app": 3, "lib": 2, "": 9}
    assert {item.about for item in rejected} == {"app: 3 of 8 rows stay"}
    assert choose.per_repository(of(app=8), 3, 2)[0] != kept[:3]


@pytest.mark.parametrize(
    ("given_", "share", "stay"),
    [
        ({"a": 90, "b": 1, "c": 1}, 0.3, {"a": 90, "b": 1, "c": 1}),  # three: no limit
        ({"a": 50, "b": 20, "c": 20, "d": 20}, 0.3, {"a": 25, "b": 20, "c": 20, "d": 20}),
        ({"a": 50, "b": 50, "c": 20, "d": 20}, 0.3, {"a": 30, "b": 30, "c": 20, "d": 20}),
        ({"a": 50, "b": 50, "c": 50, "d": 50}, 0.1, {"a": 50, "b": 50, "c": 50, "d": 50}),
        ({"a": 100, "b": 1, "c": 1, "d": 1}, 0.3, {"a": 1, "b": 1, "c": 1, "d": 1}),
        ({"a": 100, "b": 1, "c": 1, "d": 1, "none": 200}, 0.3, {"a": 87, "b": 1, "c": 1, "d": 1, "": 200}),
        ({"a": 50, "b": 2, "c": 2, "d": 2}, 1.0, {"a": 50, "b": 2, "c": 2, "d": 2}),
    ],
)
def test_no_repository_is_more_than_its_share_where_there_are_four(
    given_: dict[str, int], share: float, stay: dict[str, int]
) -> None:
    kept, rejected = choose.repository_share(of(**given_), share, 1)
    assert repositories(kept) == stay
    assert len(kept) + len(rejected) == sum(given_.values())
    assert all(item.reason == f"more than {share:.0%} of all rows would be of one repository" for item in rejected)


def test_a_repositorys_share_that_would_cost_most_rows_is_not_kept_to_and_that_is_said() -> None:
    crowded = choose.chosen(of(app=100, b=1, c=1, d=1), Data(), 1)
    assert (len(crowded.kept), crowded.rejected) == (103, [])
    assert crowded.notes == (
        "app holds 97% of the rows; 30% at most of one repository would leave 4 of 103 rows, so that limit is not kept"
        " to (per_repository always is)",
    )
    assert len(choose.chosen(of(app=100, b=1, c=1, d=1), Data(per_repository=5), 1).kept) < 9
    fair = choose.chosen(of(app=50, b=20, c=20, d=20), Data(), 1)
    assert (len(fair.kept), fair.notes) == (85, ())


def test_half_of_a_languages_rows_may_be_synthetic() -> None:
    rows = [candidate(f"real{number}") for number in range(3)]
    rows += [candidate(f"made{number}", origin="synthetic") for number in range(9)]
    rows += [candidate("ruby", origin="synthetic", language="ruby")]
    kept, rejected = choose.synthetic_share(rows, 0.5, 1)
    assert Counter((item.language, item.origin) for item in kept) == {("rust", "session"): 3, ("rust", "synthetic"): 3}
    assert {item.reason for item in rejected} == {
        "more than 50% of rust would be synthetic",
        "more than 50% of ruby would be synthetic",
    }
    assert choose.synthetic_share(rows, 1.0, 1) == (rows, [])


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "root": st.sampled_from(["s1", "s2", "s3", "s4"]),
            "repository": st.sampled_from(["", "/r/a", "/r/b", "/r/c", "/r/d", "/r/e"]),
            "language": st.sampled_from(["rust", "ruby"]),
            "origin": st.sampled_from(["session", "commit", "synthetic"]),
            "by_person": st.booleans(),
            "characters": st.integers(1, 5),
            "cluster": st.integers(0, 20),
            "suite": st.sampled_from(["", "", "", "tiny"]),
        }
    ),
    max_size=60,
)


@given(
    ROWS,
    st.integers(0, 6),
    st.integers(0, 12),
    st.sampled_from([0.0, 0.1, 0.3, 0.5, 1.0]),
    st.sampled_from([0.0, 0.3, 0.5, 1.0]),
    st.integers(),
    st.randoms(),
)
def test_every_limit_holds_for_what_stays_nothing_vanishes_and_the_order_does_not_matter(
    told: list[dict[str, Any]],
    session: int,
    repository: int,
    share: float,
    synthetic: float,
    seed: int,
    random: Any,
) -> None:
    rows = [candidate(f"row{number}", example=number, **about) for number, about in enumerate(told)]
    data = Data(per_session=session, per_repository=repository, repository_share=share, synthetic_share=synthetic)
    choice = choose.chosen(rows, data, seed)
    kept, rejected = choice.kept, choice.rejected
    assert sorted([item.id for item in kept] + [item.id for item in rejected]) == sorted(item.id for item in rows)
    assert not any(item.suite for item in kept)
    assert all(number == 1 for cluster, number in Counter(item.cluster for item in kept).items() if cluster)
    assert not session or max(Counter(item.root for item in kept).values(), default=0) <= session
    in_repository = Counter(item.repository for item in kept if item.repository)
    assert not repository or max(in_repository.values(), default=0) <= repository
    if len(in_repository) >= choose.MANY and not choice.notes:
        assert max(in_repository.values()) <= max(share, 1 / len(in_repository)) * len(kept) + 1e-6
    for language in ("rust", "ruby"):
        ours = [item for item in kept if item.language == language]
        assert sum(item.origin == "synthetic" for item in ours) <= synthetic * len(ours) + 1e-6
    random.shuffle(rows)
    again = choose.chosen(rows, data, seed)
    assert {item.id for item in again.kept} == {item.id for item in kept}
    assert again.notes == choice.notes
    assert sorted((item.id, item.reason) for item in again.rejected) == sorted(
        (item.id, item.reason) for item in rejected
    )
