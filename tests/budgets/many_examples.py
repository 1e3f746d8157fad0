"""Workspaces with many examples or rows, written in a few seconds: for what must not depend on their number."""

from __future__ import annotations

import msgspec

from lora_tui.curation.verdict import Evidence, Verdict
from lora_tui.dataset.model import Count, Manifest, Row, RowMessage
from lora_tui.sources.model import Message
from lora_tui.workspace import toml
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Data

LANGUAGES = ("rust", "typescript", "python", "ruby", "swift", "none")
PER_SESSION = 5
START = 1_780_000_000_000


def fill(workspace: Workspace, number: int) -> None:
    """`number` examples, five per session, in six languages; each session has its messages."""
    encode = msgspec.json.encode
    verdict = {
        language: encode(Verdict(language, 0.9, True, {language: 1.0}, [Evidence(language, "edited", "2 edits", 10.0)]))
        for language in LANGUAGES
    }
    bodies = [
        (seq, encode(Message(role="assistant" if seq % 2 else "user", content=f"message {seq}")))
        for seq in range(2 * PER_SESSION)
    ]
    sessions = number // PER_SESSION
    with workspace.transaction() as connection:
        connection.executemany(
            "INSERT INTO session (id, source, native_id, title, directory, agent, model, version, created, updated,"
            " origin, fingerprint, curated, messages) VALUES"
            " (?, 'opencode', ?, ?, '/home/dev/app', 'build', 'lab/model', '1', ?, ?, 'x.db', '1', '1', ?)",
            (
                (
                    i,
                    f"ses_{i:08}",
                    f"Session {i} about caching and paging",
                    START + i * 1000,
                    START + i * 1000,
                    len(bodies),
                )
                for i in range(1, sessions + 1)
            ),
        )
        connection.executemany(
            "INSERT INTO message VALUES (?, ?, ?)",
            ((i, seq, body) for i in range(1, sessions + 1) for seq, body in bodies),
        )
        connection.executemany(
            "INSERT INTO example (id, session_id, native_id, first_seq, last_seq, key, request, language, confidence,"
            " verdict, agent, model, turns, characters, created, doc) VALUES"
            " (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'build', 'lab/model', ?, 900, ?, ?)",
            (
                (
                    i,
                    (i - 1) // PER_SESSION + 1,
                    f"m{i}",
                    2 * ((i - 1) % PER_SESSION),
                    2 * ((i - 1) % PER_SESSION) + 1,
                    f"{i:032x}",
                    f"Request {i}: make the parser of module {i % 97} tolerate empty lines and write its tests",
                    LANGUAGES[i % 6],
                    (i % 50) / 50,
                    verdict[LANGUAGES[i % 6]],
                    i % 9 + 1,
                    START + i * 200,
                    i,
                )
                for i in range(1, sessions * PER_SESSION + 1)
            ),
        )
        connection.executemany(
            "INSERT INTO example_text (rowid, text) VALUES (?, ?)",
            ((i, f"request {i} parser module{i % 97} tolerate empty lines") for i in range(1, number + 1)),
        )


def version(workspace: Workspace, number: int) -> None:
    """A dataset version many@1 with `number` rows of train, one of validation, one of test."""
    folder = workspace.datasets / "many" / "1"
    folder.mkdir(parents=True)
    splits = {"train": range(1, number + 1), "validation": range(number + 1, number + 2)}
    splits["test"] = range(number + 2, number + 3)
    for split, numbers in splits.items():
        with (folder / f"{split}.jsonl").open("wb") as file:
            file.writelines(msgspec.json.encode(_row(i)) + b"\n" for i in numbers)
    manifest = Manifest(
        name="many",
        version=1,
        created=START / 1000,
        hash="9f2c" * 16,
        seed=42,
        split=(80, 10, 10),
        split_rule="as they come",
        rows={split: len(numbers) for split, numbers in splits.items()},
        recipe=Data(),
        counts=(Count("rust", "opencode", number, 1, 1),),
        files={},
    )
    (folder / "manifest.toml").write_text(toml.dump(manifest))


def _row(i: int) -> Row:
    asked = f"Request {i}: make the parser of module {i % 97} tolerate empty lines and write its tests"
    return Row(
        id=f"{i:032x}",
        messages=[
            RowMessage(role="user", content=asked),
            RowMessage(role="assistant", content=f"Done, {i} tests pass."),
        ],
        language=LANGUAGES[i % 5],
        source="opencode",
        session=f"ses_{i // PER_SESSION:08}",
        model="lab/model",
    )
