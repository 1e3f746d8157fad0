"""Versions that are made again, checked and compared, and what they keep of the versions before."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lora_tui.cli.main import cli
from lora_tui.curation import examples, labels, reading
from lora_tui.dataset import stored, versions
from lora_tui.dataset.check import troubles
from lora_tui.dataset.diff import Change, Compared, compared
from lora_tui.dataset.model import SPLITS, Dataset
from lora_tui.dataset.rebuild import made_again, rebuild
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Data
from stories import calls, says, store_session, user

WORDS = ("apple", "river", "stone", "cloud", "tiger", "paper", "wheel", "green", "north", "glass", "fable", "maple")


def fill(workspace: Workspace, numbers: range = range(24)) -> Workspace:
    """Accepted sessions that do not resemble each other; the later ones are newer."""
    for number in numbers:
        word = f"{WORDS[number % 12]}{number}"
        text = " ".join(f"{word}{at}" for at in range(30))
        edit = calls("edit", {"filePath": f"src/{word}.rs", "newString": f"fn {word}() {{ {text} }}"}, "ok")
        told = [user(f"Write {word}: {text}"), *edit, says(f"Wrote {text}.")]
        store_session(workspace, f"ses_{number}", told, created=1_790_000_000_000 + number * 3_600_000)
    examples.refresh(workspace)
    accept(workspace)
    return workspace


def accept(workspace: Workspace) -> None:
    labels.decide(workspace, list(examples.ids(workspace)), "accept", author="ana")


@pytest.fixture
def told(workspace: Workspace) -> Workspace:
    return fill(workspace)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Workspace:
    """Another machine's workspace."""
    found = Workspace(tmp_path / "elsewhere")
    found.ensure()
    return found


def contents(dataset: Dataset) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in dataset.folder.iterdir() if path.name != "manifest.toml"}


def of_split(dataset: Dataset, split: str) -> set[str]:
    return {row.session for row in stored.rows(dataset, split)}


def run(workspace: Workspace, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["--workspace", str(workspace.root), "dataset", *arguments])
    return done.exit_code, done.stdout


def chats(folder: Path, number: int = 40) -> Path:
    path = folder / "general.jsonl"
    lines = [
        {"messages": [{"role": "user", "content": f"Why {at}?"}, {"role": "assistant", "content": f"Because of {at}."}]}
        for at in range(number)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def everything(folder: Path) -> Data:
    """A recipe with rows drawn, repeated and replayed."""
    return Data(rows={"rust": 30}, repeat=3, replay=str(chats(folder)), replay_share=0.2, per_session=5)


def test_a_version_made_again_has_the_same_bytes_also_in_another_workspace(
    told: Workspace, elsewhere: Workspace, tmp_path: Path
) -> None:
    built = versions.build(told, "rust", everything(tmp_path), profile="p")
    assert {row.copy for row in stored.rows(built, "train")} == {0, 1}
    assert built.manifest.by_origin["replay"]
    labels.decide(told, [1, 2], "reject", author="ana")  # what is accepted now does not matter
    again = rebuild(told, built, "rust")
    assert again.label == "rust@2"
    assert contents(again) == contents(built)
    fill(elsewhere, range(23, -1, -1))  # taken in in another order, so that examples have other numbers
    far = rebuild(elsewhere, built, "copy")
    assert contents(far) == contents(built)
    assert far.manifest.hash == built.manifest.hash
    assert list(troubles(far)) == []
    assert made_again(elsewhere, far).identical


def test_the_command_line_makes_a_version_again_from_its_folder(told: Workspace, tmp_path: Path) -> None:
    built = versions.build(told, "rust")
    carried = tmp_path / "carried"  # what a person keeps in a repository: no rows
    carried.mkdir()
    for name in ("manifest.toml", "members.jsonl"):
        shutil.copy(built.folder / name, carried)
    code, out = run(told, "build", "again", "--manifest", str(carried), "--json")
    assert code == 0
    again = versions.find(told, json.loads(out)["label"])
    for name in SPLITS:
        assert (again.folder / f"{name}.jsonl").read_bytes() == (built.folder / f"{name}.jsonl").read_bytes()
    assert list(troubles(again)) == []
    assert run(told, "build", "again", "--manifest", str(carried), "--seed", "3")[0] == 2
    with pytest.raises(BadInput, match="there is no dataset version"):
        versions.opened(tmp_path / "nowhere")


def test_what_cannot_be_made_again_is_named_with_the_reason_and_leaves_nothing(
    told: Workspace, elsewhere: Workspace
) -> None:
    built = versions.build(told, "rust")
    fill(elsewhere, range(1, 24))
    store_session(elsewhere, "ses_0", [user("Something else now"), says("```rust\nfn other() {}\n```")])
    examples.refresh(elsewhere)
    with pytest.raises(LoraTuiError, match=r"1 row without an example.*ses_0 is here, with another content"):
        rebuild(elsewhere, built, "rust")
    assert versions.versions(elsewhere) == []
    fill(elsewhere, range(1))
    messages = reading.example(told, 1).messages
    labels.edit(told, 1, [*messages[:-1], says("Done better.")], author="ana")
    made = made_again(told, built)
    assert (made.identical, made.gone, made.different) == (False, 0, 1)
    assert made.differences[0].why == "example 1 was edited since"
    code, out = run(told, "verify", "rust", "--rebuild")
    assert code == 1
    assert "rust@1 is what was built" in out
    assert "example 1 was edited since" in out


def test_a_changed_chat_file_is_the_reason_that_a_version_cannot_be_made_again(told: Workspace, tmp_path: Path) -> None:
    built = versions.build(told, "rust", everything(tmp_path))
    path = tmp_path / "general.jsonl"
    path.write_text(path.read_text().replace("Because", "Since"))
    made = made_again(told, built)
    assert made.gone == built.manifest.by_origin["replay"]
    assert "general.jsonl" in made.differences[0].why
    path.unlink()
    with pytest.raises(BadInput, match="no such chat file"):
        made_again(told, built)


def test_an_imported_version_says_where_it_came_from_instead_of_being_made_again(
    told: Workspace, tmp_path: Path
) -> None:
    from lora_tui.dataset.importing import import_

    made = import_(told, chats(tmp_path), "chats")
    with pytest.raises(BadInput, match=r"read from general\.jsonl"):
        rebuild(told, made.dataset, "again")


def spoil_line(folder: Path) -> None:
    path = folder / "train.jsonl"
    path.write_bytes(path.read_bytes().replace(b'{"id"', b'{"id', 1))


def twice(folder: Path) -> None:
    path = folder / "test.jsonl"
    first = path.read_bytes().splitlines(keepends=True)[0]
    path.write_bytes(path.read_bytes() + first)


def move(folder: Path) -> None:
    train, test = folder / "train.jsonl", folder / "test.jsonl"
    lines = train.read_bytes().splitlines(keepends=True)
    test.write_bytes(test.read_bytes() + lines[0])
    train.write_bytes(b"".join(lines[1:]))


def straddle(folder: Path) -> None:
    path = folder / "members.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[-1]["group"] = lines[0]["group"]
    path.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))


def manifest(folder: Path) -> None:
    path = folder / "manifest.toml"
    path.write_text(path.read_text().replace('hash = "', 'hash = "0', 1))


def renumbered(folder: Path) -> None:
    path = folder / "manifest.toml"
    path.write_text(path.read_text().replace("version = 1\n", "version = 7\n", 1))


@pytest.mark.parametrize(
    ("damage", "told_of"),
    [
        (spoil_line, ("train.jsonl", "cannot be read")),
        (twice, ("test.jsonl", "stands there twice")),
        (move, ("test.jsonl", "stands where by members.jsonl nothing is")),
        (straddle, ("members.jsonl", "are in train and in test")),
        (manifest, ("manifest.toml", "hash")),
        (lambda folder: (folder / "validation.jsonl").unlink(), ("validation.jsonl", "is gone")),
        (lambda folder: (folder / "rejected.jsonl").write_text("x\n"), ("rejected.jsonl", "cannot be read")),
        (lambda folder: (folder / "leakage.jsonl").write_text("{}\n"), ("leakage.jsonl", "was changed")),
        (lambda folder: (folder / "more.jsonl").write_text("{}\n"), ("more.jsonl", "is no file of this version")),
        (renumbered, ("manifest.toml", "is that of rust@7, and this is folder 1")),
    ],
)
def test_damage_is_named_and_the_exit_code_says_so(
    told: Workspace, damage: Callable[[Path], Any], told_of: tuple[str, str]
) -> None:
    built = versions.build(told, "rust")
    assert run(told, "verify", "rust") == (0, "rust@1 is what was built\n")
    damage(built.folder)
    code, out = run(told, "verify", "rust", "--json")
    found = json.loads(out)
    assert code == 1
    assert not found["ok"]
    assert any(item["file"] == told_of[0] and told_of[1] in item["what"] for item in found["troubles"]), found


def difference(before: Dataset, after: Dataset) -> tuple[Compared, list[Change]]:
    with compared(before, after) as (sums, changes):
        return sums, list(changes)


def test_a_diff_names_rows_that_are_new_gone_changed_and_moved(told: Workspace) -> None:
    before = versions.build(told, "one")
    messages = reading.example(told, 1).messages
    labels.edit(told, 1, [*messages[:-1], says("Done better.")], author="ana")
    labels.decide(told, [2], "reject", author="ana")
    fill_more = range(24, 26)
    fill(told, fill_more)
    labels.decide(told, [2], "reject", author="ana")
    after = versions.build(told, "two", Data(cap=1000), shares=(50, 25, 25), seed=1)
    sums, changes = difference(before, after)
    by = {what: {item.key for item in changes if item.what == what} for what in ("added", "removed", "changed")}
    keys = dict(told.connection().execute("SELECT id, key FROM example").fetchall())
    assert by == {"added": {keys[25], keys[26]}, "removed": {keys[2]}, "changed": {keys[1]}}
    moved = [item for item in changes if item.what == "moved"]
    assert moved
    assert {(item.split_before == item.split) for item in moved} == {False}
    assert sums.same + sums.changed + sums.moved + sums.added == sum(after.manifest.rows.values())
    assert {item.name for item in sums.settings} >= {"cap", "seed", "split"}
    assert sums.languages == {"rust": (24, 25)}
    same, nothing = difference(before, rebuild_unless_edited(told, before))
    assert (same.identical, same.same, nothing) == (True, 24, [])


def rebuild_unless_edited(workspace: Workspace, dataset: Dataset) -> Dataset:
    """The version itself under another number: a copy of its folder."""
    folder = dataset.folder.parent / "9"
    shutil.copytree(dataset.folder, folder)
    text = (folder / "manifest.toml").read_text()
    (folder / "manifest.toml").write_text(text.replace("version = 1\n", "version = 9\n", 1))
    return versions.opened(folder)


def test_a_diff_tells_a_row_whose_text_is_the_same_and_whose_language_is_not(told: Workspace) -> None:
    before = versions.build(told, "one")
    labels.decide(told, [3], "language", value="python", author="ana")
    sums, changes = difference(before, versions.build(told, "two"))
    assert [(item.what, item.language) for item in changes if item.what != "moved"] == [("changed", "python")]
    assert sums.languages == {"python": (0, 1), "rust": (24, 23)}
    code, out = run(told, "diff", "one", "two", "--json")
    assert code == 0
    assert {item["what"] for item in json.loads(out)["changes"]} >= {"changed"}
    assert "changed" in run(told, "diff", "one", "two")[1]


def test_what_was_in_test_once_stays_there_whatever_comes_in(told: Workspace) -> None:
    first = versions.build(told, "rust")
    tested = of_split(first, "test")
    assert tested
    fill(told, range(24, 60))  # newer ones, which would be in test by time
    second = versions.build(told, "rust", seed=99)
    assert tested <= of_split(second, "test")
    assert second.manifest.previous == 1
    one = int(sorted(tested)[0].removeprefix("ses_"))
    labels.decide(told, [one + 1], "reject", author="ana")
    third = versions.build(told, "rust")
    assert f"ses_{one}" not in {name for split in SPLITS for name in of_split(third, split)}
    labels.decide(told, [one + 1], "accept", author="ana")
    assert f"ses_{one}" in of_split(versions.build(told, "rust"), "test")  # a version in between did without it


def test_a_row_edited_since_stays_in_test_by_its_example(told: Workspace) -> None:
    first = versions.build(told, "rust")
    row = next(stored.rows(first, "test"))
    (number,) = told.connection().execute("SELECT id FROM example WHERE key = ?", (row.key,)).fetchone()
    messages = reading.example(told, number).messages
    labels.edit(told, number, [*messages[:-1], says("Done better.")], author="ana")
    fill(told, range(24, 40))
    second = versions.build(told, "rust")
    found = next(item for item in stored.rows(second, "test") if item.key == row.key)
    assert found.id != row.id


def test_an_earlier_version_that_cannot_be_read_is_told_and_blocks_nothing(told: Workspace) -> None:
    first = versions.build(told, "rust")
    (first.folder / "members.jsonl").write_text("half\n")
    (first.folder / "train.jsonl").write_text("half\n")
    second = versions.build(told, "rust")
    assert any("rust@1 cannot be read" in note for note in second.manifest.notes)
    (first.folder / "manifest.toml").write_text("half")
    code, out = run(told, "list", "--json")
    assert code == 0
    assert [item["label"] for item in json.loads(out)] == ["rust@2"]
    assert "rust@1" in versions.unreadable(told)


@pytest.mark.parametrize("damaged", ["manifest.toml", "members.jsonl"])
def test_rows_of_a_damaged_versions_test_stay_in_test_as_long_as_they_can_be_read(
    told: Workspace, damaged: str
) -> None:
    first = versions.build(told, "rust")
    tested = of_split(first, "test")
    (first.folder / damaged).write_text("half")
    fill(told, range(24, 60))
    second = versions.build(told, "rust")
    assert tested <= of_split(second, "test")
    assert not any("cannot be read" in note for note in second.manifest.notes)


def test_a_version_of_another_release_is_read_without_the_keys_that_are_not_known(told: Workspace) -> None:
    built = versions.build(told, "rust")
    path = built.folder / "manifest.toml"
    path.write_text(
        path.read_text()
        .replace("[recipe]\n", '[recipe]\nlater = "x"\n')
        .replace('name = "rust"', 'name = "rust"\nnew = 1')
    )
    assert versions.find(told, "rust").manifest == built.manifest


def test_what_a_suite_asks_is_neither_built_nor_replayed_into_train(told: Workspace, tmp_path: Path) -> None:
    asked = next(iter(reading.example(told, 4).messages)).content
    suite = told.profiles / "suites" / "mine.yaml"
    suite.parent.mkdir(parents=True)
    again = "Explain how a bicycle stays upright while it rolls slowly along a narrow and winding road"
    suite.write_text(json.dumps({"prompts": ["{{p}}"], "tests": [{"vars": {"p": text}} for text in (asked, again)]}))
    path = chats(tmp_path)
    line = {"messages": [{"role": "user", "content": again}, {"role": "assistant", "content": "It steers."}]}
    path.write_text(json.dumps(line) + "\n" + path.read_text())
    built = versions.build(told, "rust", Data(replay=str(path), replay_share=0.7))
    assert built.manifest.left_out["like a prompt of the suite mine"] == 1
    assert built.manifest.left_out["replay: like a prompt of the suite mine"] == 1
    assert built.manifest.by_origin["replay"] == 40
    assert "mine" in built.manifest.suites
    written = b"".join(contents(built)[f"{name}.jsonl"] for name in SPLITS).decode()
    assert again not in written
    assert "ses_3" not in {name for split in SPLITS for name in of_split(built, split)}


def test_a_version_says_what_is_in_it_and_what_leaks(told: Workspace) -> None:
    versions.build(told, "rust")
    code, out = run(told, "show", "rust")
    assert code == 0
    assert "rust      opencode" in out
    assert "test rows have a near-duplicate in train" in out
    assert "of a random split" in " ".join(out.split())
    assert "too few test rows of rust" in out
    assert max(map(len, (line for line in out.splitlines() if not line.startswith("folder")))) <= 80
