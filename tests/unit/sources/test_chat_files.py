"""Chat files in the workspace: good rows come in once, wrong ones are named by their place."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_tui.sources import read
from lora_tui.sources.chat import rows as chat_rows
from lora_tui.sources.chat.rows import rows
from lora_tui.sources.ingest import IngestReport, ingest
from lora_tui.sources.model import text_of
from lora_tui.workspace.errors import SourceError
from lora_tui.workspace.layout import Workspace


def chat(number: int) -> dict[str, Any]:
    """A row in one of three formats."""
    ask, answer = f"Please explain number {number}.", f"It is {number}. é"
    return [
        {"messages": [{"role": "user", "content": ask}, {"role": "assistant", "content": answer}]},
        {"conversations": [{"from": "human", "value": ask}, {"from": "gpt", "value": answer}]},
        {"instruction": ask, "output": answer},
    ][number % 3]


def jsonl(path: Path, items: Sequence[object]) -> Path:
    lines = [item if isinstance(item, str) else json.dumps(item, ensure_ascii=False) for item in items]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def take(workspace: Workspace, *paths: Path) -> IngestReport:
    return ingest(workspace, "chat", paths)


def test_a_mixed_file_says_which_formats_it_holds_and_where_it_is_wrong(workspace: Workspace, tmp_path: Path) -> None:
    path = jsonl(tmp_path / "chats.jsonl", [chat(0), chat(1), "not json", "", {"foo": 1}, chat(2), chat(3)])
    report = take(workspace, path)
    assert report.new == 4
    assert report.stores[0].generations == ("messages ×2", "ShareGPT ×1", "Alpaca ×1")
    assert [(row.where, row.native_id) for row in report.quarantined] == [(f"{path}:3", "3"), (f"{path}:5", "5")]
    assert "keys: foo" in report.quarantined[1].reason
    stored = read.sessions(workspace)
    texts = {text_of(message) for row in stored for message in read.messages(workspace, row.id)}
    assert texts >= {"Please explain number 2.", "It is 3. é"}
    assert {row.source for row in stored} == {"chat"}


def test_a_file_that_grew_or_was_put_in_another_order_brings_only_what_is_new(
    workspace: Workspace, tmp_path: Path
) -> None:
    path = jsonl(tmp_path / "chats.jsonl", [chat(number) for number in range(6)])
    take(workspace, path)
    jsonl(path, [chat(number) for number in (7, 5, 4, 3, 2, 1, 0, 6)])
    again = take(workspace, path)
    assert (again.new, again.changed, again.unchanged, again.messages) == (2, 0, 6, 4)
    assert read.count(workspace) == 8


def test_the_same_row_counts_once_in_one_file_and_in_several(workspace: Workspace, tmp_path: Path) -> None:
    first = jsonl(tmp_path / "a.jsonl", [chat(0), chat(0) | {"id": "other", "score": 3}, chat(1)])
    report = take(workspace, first, jsonl(tmp_path / "b.jsonl", [chat(1)]))
    assert report.sessions == 2
    assert report.stores[0].generations[-1] == "1 repeated"


def test_containers_and_line_ends_make_no_difference(workspace: Workspace, tmp_path: Path) -> None:
    items = [chat(number) for number in range(5)]
    lines = "".join(json.dumps(item) + "\r\n" for item in items).encode()
    (tmp_path / "crlf.jsonl").write_bytes(b"\xef\xbb\xbf" + lines)
    (tmp_path / "array.json").write_bytes(b"\xef\xbb\xbf \n" + json.dumps(items, indent=2).encode())
    (tmp_path / "packed.jsonl.gz").write_bytes(gzip.compress(lines))
    (tmp_path / "packed.json.gz").write_bytes(gzip.compress(json.dumps(items).encode()))
    report = take(workspace, tmp_path)
    assert len(report.stores) == 4
    assert (report.new, report.quarantined) == (5, [])


def test_the_rest_of_a_damaged_array_is_one_quarantined_row(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "array.json"
    path.write_text("[" + ", ".join(json.dumps(chat(number)) for number in range(3)) + ', {"messages": [')
    report = take(workspace, path)
    assert report.new == 3
    assert [(row.kind, row.native_id) for row in report.quarantined] == [("row", "4")]


def test_a_torn_gzip_file_gives_what_is_before_the_tear(workspace: Workspace, tmp_path: Path) -> None:
    import random

    noise = random.Random(3)
    items = [chat(number) | {"id": noise.randbytes(300).hex()} for number in range(200)]
    whole = gzip.compress("".join(json.dumps(item) + "\n" for item in items).encode())
    (tmp_path / "torn.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    report = take(workspace, tmp_path / "torn.jsonl.gz")
    assert 0 < report.new < 200
    assert "damaged from here on" in report.quarantined[-1].reason


def test_a_line_that_is_too_long_is_left_out_and_the_next_is_read(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_rows, "LONGEST", 1024**2)
    path = jsonl(tmp_path / "chats.jsonl", [chat(0), {"text": "x" * (3 * 1024**2)}, chat(1)])
    report = take(workspace, path)
    assert report.new == 2
    assert [(row.native_id, row.reason) for row in report.quarantined] == [("2", "longer than 1 MiB")]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (json.dumps(chat(0)).encode("utf-16"), "no UTF-8"),
        (json.dumps(chat(0)).encode("utf-16-le"), "no UTF-8"),
        (b"\x93\xf0\x01 rubbish \xff\n" * 40, "no row of it is a conversation; line 1"),
        (b'{"a": 1}\n', "no row of it is a conversation; line 1: none of the known formats; its keys: a"),
        (b"PAR1 and nothing behind it", "the table cannot be read"),
    ],
)
def test_a_file_that_is_no_chat_file_is_one_clear_error(
    workspace: Workspace, tmp_path: Path, content: bytes, what: str
) -> None:
    (tmp_path / "file.jsonl").write_bytes(content)
    with pytest.raises(SourceError) as caught:
        take(workspace, tmp_path / "file.jsonl")
    assert caught.value.what.startswith(what) or what in caught.value.what
    assert str(tmp_path / "file.jsonl") == caught.value.where
    assert read.count(workspace) == 0


def test_no_path_no_file_and_an_empty_folder_say_what_to_give(workspace: Workspace, tmp_path: Path) -> None:
    for paths in ([], [tmp_path / "nothing.jsonl"], [tmp_path]):
        with pytest.raises(SourceError) as caught:
            take(workspace, *paths)
        assert caught.value.fix


def test_an_empty_file_is_no_error(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    assert take(workspace, tmp_path / "empty.jsonl").sessions == 0


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('ab]},"[{', max_size=4), inner, max_size=4),
    max_leaves=10,
)


@given(
    items=st.lists(st.dictionaries(st.text("abc", max_size=3), VALUES, max_size=4), max_size=8),
    indent=st.none() | st.just(2),
)
def test_an_array_gives_the_same_rows_as_lines_do_whatever_the_chunks(
    tmp_path_factory: pytest.TempPathFactory, items: list[dict[str, Any]], indent: int | None
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    (folder / "array.json").write_text(json.dumps(items, indent=indent, ensure_ascii=False), encoding="utf-8")
    whole = chat_rows._CHUNK
    try:
        chat_rows._CHUNK = 3
        found = [(row.number, json.loads(bytes(row.data)), row.problem) for row in rows(folder / "array.json")]
    finally:
        chat_rows._CHUNK = whole
    assert found == [(number, item, "") for number, item in enumerate(items, start=1)]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A Parquet file and saved folders, written by `datasets` itself."""
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    items = [
        {"messages": [{"role": "user", "content": f"What is number {n}?"}, {"role": "assistant", "content": f"{n}."}]}
        for n in range(9)
    ]
    made = datasets.Dataset.from_list([*items, {"messages": [{"role": "user", "content": "alone"}]}])
    made.to_parquet(str(tmp_path / "chats.parquet"))
    made.save_to_disk(str(tmp_path / "saved"))
    datasets.DatasetDict(train=made, test=made).save_to_disk(str(tmp_path / "splits"))
    return tmp_path


@pytest.mark.engine
def test_parquet_and_saved_folders_are_read_by_the_worker(workspace: Workspace, table: Path) -> None:
    report = take(workspace, table / "chats.parquet")
    assert (report.new, report.stores[0].generations) == (9, ("messages ×9",))
    assert [(row.kind, row.native_id, row.reason) for row in report.quarantined] == [
        ("row", "10", "no answer of an assistant")
    ]
    again = take(workspace, table / "saved", table / "splits")
    assert (again.new, again.unchanged) == (0, 9)
    assert [text_of(message) for message in read.messages(workspace, read.sessions(workspace)[-1].id)] == [
        "What is number 0?",
        "0.",
    ]


def test_without_the_engine_a_table_says_how_to_install_it(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "datasets.py").write_text("raise ModuleNotFoundError('no', name='datasets')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "fake"))
    (tmp_path / "chats.parquet").write_bytes(b"PAR1")
    with pytest.raises(SourceError) as caught:
        take(workspace, tmp_path / "chats.parquet")
    assert "datasets is missing" in caught.value.what
    assert "lora-tui[train]" in caught.value.fix
