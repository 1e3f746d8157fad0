"""How often each row of train stands there."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from candidates import candidate
from lora_tui.dataset.candidate import Candidate
from lora_tui.dataset.sample import sample
from lora_tui.workspace import toml
from lora_tui.workspace.profiles import Data


def train(**languages: int) -> list[Candidate]:
    return [
        candidate(f"{language}{number}", language=language)
        for language, rows in languages.items()
        for number in range(rows)
    ]


def test_of_too_many_rows_as_many_as_wanted_are_drawn_and_the_others_are_listed() -> None:
    sampled = sample(train(rust=512, swift=3), Data(rows={"rust": 300}), 42)
    assert sum(sampled.copies.values()) == 303
    assert len(sampled.rejected) == 212
    assert {item.reason for item in sampled.rejected} == {"rust: 300 of 512 rows drawn for train"}
    assert sampled.notes == ("rust: 300 of 512 rows drawn for train",)
    assert sample(train(rust=512), Data(rows={"rust": 300}), 43).copies != sampled.copies


@pytest.mark.parametrize(
    ("there", "wanted", "repeat", "rows", "note"),
    [
        (40, 120, 3, 120, "swift: 40 rows stand 3 times in train"),
        (40, 100, 3, 100, "swift: 20 rows stand twice and 20 rows stand 3 times in train"),
        (40, 300, 3, 120, "swift: 40 rows stand 3 times in train; 120 of 300 rows wanted in train"),
        (40, 41, 2, 41, "swift: 39 rows stand once and 1 row stands twice in train"),
        (40, 300, 1, 40, "swift: 40 of 300 rows wanted in train"),
        (40, 40, 5, 40, ""),
        (40, 0, 5, 40, ""),
        (0, 300, 5, 0, "swift: none of the 300 rows wanted in train"),
    ],
)
def test_too_few_rows_are_repeated_as_far_as_allowed_and_it_is_said(
    there: int, wanted: int, repeat: int, rows: int, note: str
) -> None:
    sampled = sample(train(swift=there), Data(rows={"swift": wanted}, repeat=repeat), 1)
    assert sum(sampled.copies.values()) == rows
    assert max(sampled.copies.values(), default=0) <= repeat
    assert sampled.notes == ((note,) if note else ())
    assert sampled.rejected == []


def test_a_train_that_is_more_synthetic_than_the_version_may_be_is_told() -> None:
    rows = train(rust=4) + [candidate(f"made{number}", language="rust", origin="synthetic") for number in range(5)]
    (note,) = sample(rows, Data(synthetic_share=0.5), 1).notes
    assert note.startswith("rust: 56% of train is synthetic (5 of 9 rows)")
    assert sample(rows, Data(synthetic_share=1.0), 1).notes == ()


@given(
    st.dictionaries(st.sampled_from(["rust", "ruby", "swift"]), st.integers(0, 30), min_size=1),
    st.dictionaries(st.sampled_from(["rust", "ruby", "java"]), st.integers(0, 60)),
    st.integers(1, 5),
    st.integers(),
    st.randoms(),
)
def test_no_row_vanishes_and_the_order_of_the_rows_does_not_matter(
    there: dict[str, int], wanted: dict[str, int], repeat: int, seed: int, random: object
) -> None:
    rows = train(**there)
    data = Data(rows=wanted, repeat=repeat)
    sampled = sample(rows, data, seed)
    assert set(sampled.copies) == {row.id for row in rows}
    assert {item.id for item in sampled.rejected} == {
        identity for identity, times in sampled.copies.items() if not times
    }
    for language, number in there.items():
        stands = sum(times for identity, times in sampled.copies.items() if identity.startswith(language))
        asked = wanted.get(language, 0)
        assert stands == (min(asked, number * repeat) if asked else number)
    random.shuffle(rows)  # type: ignore[attr-defined]
    again = sample(rows, data, seed)
    assert (again.copies, again.notes) == (sampled.copies, sampled.notes)
    assert sorted(again.rejected, key=lambda item: item.id) == sorted(sampled.rejected, key=lambda item: item.id)


def test_a_recipe_with_what_cannot_be_is_refused_with_its_key(tmp_path: object) -> None:
    for wrong in ({"replay_share": 1.0}, {"repeat": 0}, {"repository_share": 1.5}, {"rows": {"rust": -1}}):
        with pytest.raises(msgspec.ValidationError, match=next(iter(wrong))):
            msgspec.convert(wrong, Data)
    assert msgspec.toml.decode(toml.dump(Data(rows={"c++": 3})), type=Data) == Data(rows={"c++": 3})
