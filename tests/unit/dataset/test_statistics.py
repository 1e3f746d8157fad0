"""What a version holds, at a glance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from lora_tui.cli.dataset_stats import stats
from lora_tui.cli.output import Cli
from lora_tui.cli.stats_text import stats_text
from lora_tui.dataset.model import SPLITS, Count, Dataset, Manifest, Pair, Rejected, Row, RowMessage
from lora_tui.dataset.statistics import Part, statistics
from lora_tui.jobs import audit
from lora_tui.jobs.audit import Audited, Bin, Counted, Packing
from lora_tui.sources.model import Function, ToolCall
from lora_tui.workspace import toml
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace

CALL = ToolCall(id="c", function=Function(name="edit", arguments="{}"))


def row(identity: str, request: str = "Write it", answer: str = "", **about: Any) -> Row:
    messages = [RowMessage("user", request), RowMessage("assistant", answer or f"Answer of {identity}")]
    told = {"language": "rust", "source": "opencode", "repository": "app", "model": "lab/model", "licence": "MIT"}
    return Row(identity, messages, **{**told, **about})


def lines(path: Path, items: list[Any]) -> None:
    path.write_bytes(b"".join(msgspec.json.encode(item) + b"\n" for item in items))


@pytest.fixture
def made(workspace: Workspace) -> Dataset:
    """Six rows, one of them twice; a and b are near-duplicates, c and d learn the same answer."""
    folder = workspace.datasets / "rust" / "1"
    folder.mkdir(parents=True)
    called = Row(
        "f",
        [
            RowMessage("system", "12345"),
            RowMessage("user", "1234567890"),
            RowMessage("assistant", "1234", weight=0),
            RowMessage("assistant", "12345678", tool_calls=[CALL]),
            RowMessage("tool", "123"),
        ],
        language="ruby",
        source="git",
        origin="commit",
    )
    train = [row("a", "Sum the slice"), row("b", "Sum the slices"), row("c", answer="Same."), row("a", copy=1)]
    lines(folder / "train.jsonl", train)
    lines(folder / "validation.jsonl", [row("d", "Reverse a string", answer=" Same.\n"), row("e")])
    lines(folder / "test.jsonl", [called])
    lines(folder / "leakage.jsonl", [Pair("a", "b", 0.9, "train", "train")])
    out = [Rejected(f"x{n}", n, "near-duplicate", "Write", "example 4 stays") for n in range(3)]
    lines(folder / "rejected.jsonl", [*out, Rejected("y", 9, "label: reject", "No")])
    rows = {"train": 4, "validation": 2, "test": 1}
    manifest = Manifest(
        name="rust",
        version=1,
        created=1.0,
        hash="h",
        seed=1,
        split=(80, 10, 10),
        split_rule="rule",
        rows=rows,
        files={},
        profile="tiny",
    )
    (folder / "manifest.toml").write_text(toml.dump(manifest))
    return Dataset(folder, manifest)


def audited(dataset: Dataset, name: str, tokenizer: str, hash_: str = "h", rows: int = 4) -> None:
    counted = Counted(rows=rows, tokens=1000, loss_tokens=250, lengths=(Bin(256, 1), Bin(512, 3)), losses=(Bin(64, 4),))
    audit.save(
        dataset.folder / audit.FOLDER / name,
        Audited(
            dataset_hash=hash_,
            base=f"lab/{tokenizer}",
            tokenizer=tokenizer,
            max_length=4096,
            splits={"train": counted},
            rows={"train": rows},
            left_out=(),
            cut=(),
            findings=(),
            packing=Packing(),
            longest=500,
            vocabulary=1000,
            hidden_size=8,
            layers=2,
            seconds=1.0,
        ),
    )


def test_rows_are_counted_by_language_source_and_split_and_so_is_who_said_how_much(made: Dataset) -> None:
    found = statistics(made)
    assert found.counts == (Count("ruby", "git", 0, 0, 1), Count("rust", "opencode", 4, 2, 0))
    assert found.parts["test"] == Part(
        rows=1, turns=1, calls=1, characters={"assistant": 14, "system": 5, "tool": 3, "user": 10}, learned=10
    )
    assert (found.parts["train"].rows, found.parts["train"].repeated) == (4, 1)
    assert found.repositories == {"app": 6, "unknown": 1}
    assert found.licences == {"MIT": 6, "unknown": 1}
    assert found.origins == {"session": 6, "commit": 1}


def test_the_largest_groups_of_what_is_alike_are_named_and_a_repetition_is_no_duplicate(made: Dataset) -> None:
    found = statistics(made)
    ((near,), (same,)) = found.near_duplicates, found.same_answers
    assert (near.rows, near.ids, near.splits, near.request) == (2, ("a", "b"), {"train": 2}, "Sum the slice")
    assert (same.rows, same.ids, same.splits) == (2, ("c", "d"), {"train": 1, "validation": 1})
    assert found.removed == {"example 4 stays": 3}


def test_tokens_are_told_for_each_tokenizer_that_audited_this_very_version(made: Dataset) -> None:
    audited(made, "1.json", "one")
    audited(made, "2.json", "two", rows=3)
    audited(made, "3.json", "stale", hash_="another")
    (made.folder / audit.FOLDER / "4.json").write_text("half")
    found = statistics(made)
    assert {(item.base, item.rows, item.tokens) for item in found.tokens} == {
        ("lab/one", 4, 1000),
        ("lab/two", 3, 1000),
    }
    assert len(found.problems) == 1
    assert found.problems[0].startswith("audits/4.json: ")
    text = stats_text(found)
    assert "lab/one, max_length 4,096: 4 training rows, 1,000 tokens, 25% with loss" in text
    assert "█" in text


def test_the_page_fits_80_columns_with_any_text_in_it(made: Dataset) -> None:
    long = "漢字" * 60 + "\x1b[31m" + "x" * 300
    lines(made.folder / "train.jsonl", [row("a", long, "Same."), row("b", long, "Same.", repository="r" * 60)])
    text = stats_text(statistics(made, [("s", long)]))
    from rich.cells import cell_len

    assert [line for line in text.splitlines() if cell_len(line) > 80] == []
    assert "\x1b" not in text


def test_coverage_speaks_of_train_alone(made: Dataset) -> None:
    found = {item.prompt: item for item in statistics(made, [("s", "slice"), ("s", "reverse")]).coverage}
    assert found["slice"].share == 1.0
    assert found["reverse"].share == 0.0  # stands in validation only


def test_a_damaged_line_is_named(made: Dataset) -> None:
    with (made.folder / "test.jsonl").open("a") as file:
        file.write('{"id": 3}\n')
    with pytest.raises(BadInput) as error:
        statistics(made)
    assert error.value.where.endswith("test.jsonl:2")


def test_a_version_without_rows_in_a_split_has_statistics_too(made: Dataset) -> None:
    for split in SPLITS:
        (made.folder / f"{split}.jsonl").write_text("")
    assert stats_text(statistics(made)).startswith("rust@1: 0 train, 0 validation, 0 test")


def test_the_command_holds_train_against_the_suite_of_the_profile_or_the_one_asked_for(
    made: Dataset, workspace: Workspace
) -> None:
    def said(*arguments: str) -> str:
        done = CliRunner().invoke(stats, ["rust", *arguments], obj=Cli(str(workspace.root)))
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.stdout

    assert "coverage of tiny: 5 prompts" in said()
    data = json.loads(said("--json"))
    assert {item["suite"] for item in data["coverage"]} == {"tiny"}
    assert data["parts"]["train"]["rows"] == 4
    (workspace.profiles / "suites").mkdir(parents=True)
    (workspace.profiles / "suites" / "mine.yaml").write_text("tests:\n  - vars: {prompt: Sum a slice}\n")
    assert "coverage of mine: 1 prompt," in said("--suite", "mine")
    with pytest.raises(BadInput, match="there is no suite 'nothing'"):
        said("--suite", "nothing")
