"""Immutable dataset versions from accepted examples."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lora_tui.curation import examples, labels, reading
from lora_tui.dataset import versions
from lora_tui.dataset.split import roots
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Data
from stories import calls, says, store_session, user

RUST = Data(languages=("rust",))


@pytest.fixture
def accepted(workspace: Workspace) -> Workspace:
    for number in range(12):
        edit = calls("edit", {"filePath": f"src/m{number}.rs"}, "ok", call_id=f"call_{number}")
        store_session(workspace, f"ses_{number}", [user(f"Improve the module number {number}"), *edit, says("Done.")])
    store_session(workspace, "ses_py", [user("Write a Python helper"), says("```python\nx = 1\n```")])
    examples.refresh(workspace)
    labels.decide(workspace, list(examples.ids(workspace)), "accept", author="ana")
    labels.decide(workspace, [3], "reject", author="ana")
    return workspace


def rows(folder: Path, name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]


def test_a_version_holds_the_accepted_examples_of_its_languages_and_lists_the_others(accepted: Workspace) -> None:
    built = versions.build(accepted, "rust", RUST)
    assert built.label == "rust@1"
    assert sum(built.manifest.rows.values()) == 11
    assert built.manifest.left_out == {"label: reject": 1, "language: python": 1}
    assert {row["reason"] for row in rows(built.folder, "rejected")} == {"label: reject", "language: python"}
    message = rows(built.folder, "train")[0]["messages"][1]
    assert message["role"] == "assistant"
    assert json.loads(message["tool_calls"][0]["function"]["arguments"])["filePath"].endswith(".rs")


def test_the_same_input_and_seed_give_the_same_bytes_in_the_next_version(accepted: Workspace) -> None:
    first = versions.build(accepted, "rust", RUST, seed=7)
    second = versions.build(accepted, "rust", RUST, seed=7)
    assert (second.manifest.version, second.manifest.hash) == (2, first.manifest.hash)
    assert versions.find(accepted, "rust").label == "rust@2"
    assert versions.find(accepted, "rust@1").manifest.hash == first.manifest.hash


def test_another_seed_draws_other_rows(accepted: Workspace) -> None:
    five = Data(languages=("rust",), rows={"rust": 5})
    first = versions.build(accepted, "one", five, seed=7)
    assert first.manifest.rows["train"] == 5
    assert versions.build(accepted, "two", five, seed=7).manifest.hash == first.manifest.hash
    assert versions.build(accepted, "three", five, seed=8).manifest.hash != first.manifest.hash


def test_an_edited_answer_is_what_the_dataset_holds(accepted: Workspace) -> None:
    original = reading.example(accepted, 1).messages
    better = type(original[-1])(role="assistant", content="Done properly.")
    labels.edit(accepted, 1, [*original[:-1], better], author="ana")
    built = versions.build(accepted, "rust", RUST)
    texts = [(built.folder / f"{name}.jsonl").read_text() for name in ("train", "validation", "test")]
    assert "Done properly." in "".join(texts)


def test_a_changed_file_is_noticed(accepted: Workspace) -> None:
    built = versions.build(accepted, "rust", RUST)
    assert versions.damaged_files(built) == []
    with (built.folder / "train.jsonl").open("a") as file:
        file.write("{}\n")
    assert versions.damaged_files(built) == ["train.jsonl"]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("Rust!", {}, "cannot name a dataset"),
        ("rust", {"shares": (80, 10, 20)}, "does not add up to 100"),
        ("swift", {"data": Data(languages=("swift",))}, "no accepted example of swift"),
    ],
)
def test_what_cannot_be_built_is_refused_in_words(
    accepted: Workspace, name: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        versions.build(accepted, name, **options)  # type: ignore[arg-type]
    with pytest.raises(LoraTuiError):
        versions.find(accepted, name)


def test_a_subagents_session_goes_with_the_one_that_called_it() -> None:
    assert roots({"child": "parent", "grandchild": "child"}) == {"child": "parent", "grandchild": "parent"}
    assert set(roots({"a": "b", "b": "a"})) == {"a", "b"}


def test_a_damaged_version_keeps_its_number_and_blocks_nothing(accepted: Workspace) -> None:
    first = versions.build(accepted, "rust", RUST)
    (first.folder / "manifest.toml").write_text("half")
    assert versions.build(accepted, "rust", RUST).label == "rust@2"
