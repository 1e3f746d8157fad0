"""Generate an opencode database with many parts, mixed as in real histories.

Half of the parts are step marks, a fifth are tool calls with outputs of 0.5–8 KB (which bash and read keep twice, as
opencode does), a fifth is text, the rest patches and reasoning.

    python benchmarks/generate_opencode.py out.db --parts 100000
"""

from __future__ import annotations

import argparse
import random
import sqlite3
from pathlib import Path
from typing import Any

from lora_tui.demo.opencode_db import SessionWriter, write_database

_WORDS = """
the value of each line is read once and kept until next call returns Result Option String self match impl fn let mut
pub struct return error parse file test cargo build index buffer vector length if else while for in
"""
_STEPS_PER_TURN = 6
_TURNS_PER_SESSION = 8


def generate(path: Path, parts: int, seed: int = 1) -> int:
    """Write a database with at least `parts` parts. Returns how many there are."""
    path.unlink(missing_ok=True)
    write_database(path, [])
    random_ = random.Random(seed)
    pool = " ".join(random_.choices(_WORDS.split(), k=40_000))
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("BEGIN")
    written = index = 0
    while written < parts:
        session = {
            "title": f"Generated session {index}",
            "directory": f"/home/dev/src/project{index % 37}",
            "agent": "build",
            "model": "lab/coder",
            "created": 1_780_000_000_000 + index * 3_600_000,
        }
        writer = SessionWriter(connection, session, index)
        for _ in range(_TURNS_PER_SESSION):
            written += _turn(writer, random_, pool)
        index += 1
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    total = int(connection.execute("SELECT count(*) FROM part").fetchone()[0])
    connection.close()
    return total


def _turn(writer: SessionWriter, random_: random.Random, pool: str) -> int:
    request = writer.user([{"type": "text", "text": _text(random_, pool, 40, 600)}])
    count = 1
    for number in range(_STEPS_PER_TURN):
        last = number == _STEPS_PER_TURN - 1
        step: dict[str, Any] = {}
        if random_.random() < 0.8 or last:
            step["text"] = _text(random_, pool, 50, 1_500)
        if random_.random() < 0.15:
            step["reasoning"] = _text(random_, pool, 200, 1_500)
        if not last:
            step["tools"] = [_tool(random_, pool)]
        message = writer.step(request, step, last, snapshot="6912ca9a" * 5)
        count += 2 + len(step.keys() - {"tools"}) + len(step.get("tools", ()))
        if random_.random() < 0.2:
            writer.part(message, {"type": "patch", "hash": "f" * 40, "files": ["/home/dev/src/project/src/lib.rs"]})
            count += 1
    return count


def _tool(random_: random.Random, pool: str) -> dict[str, Any]:
    output = _text(random_, pool, 500, 8_000)
    kind = random_.choice(("bash", "read", "edit", "read"))
    if kind == "bash":
        return {
            "name": kind,
            "input": {"command": "cargo test -q"},
            "output": output,
            "exit": random_.choice((0, 0, 101)),
        }
    path = {"filePath": "/home/dev/src/project/src/lib.rs"}
    if kind == "read":
        display = {"type": "file", "path": path["filePath"], "text": output, "lineStart": 1, "lineEnd": 90}
        metadata = {"preview": output[:800], "truncated": False, "loaded": [], "display": display}
        return {"name": kind, "input": path, "output": output, "metadata": metadata}
    old, new = _text(random_, pool, 100, 600), _text(random_, pool, 100, 900)
    diff = "\n".join(["--- a/src/lib.rs", "+++ b/src/lib.rs", f"-{old}", f"+{new}"])
    return {
        "name": kind,
        "input": {**path, "oldString": old, "newString": new},
        "output": "Edit applied successfully.",
        "metadata": {
            "diff": diff,
            "filediff": {"file": path["filePath"], "patch": diff, "additions": 1, "deletions": 1},
        },
    }


def _text(random_: random.Random, pool: str, least: int, most: int) -> str:
    size = random_.randint(least, most)
    start = random_.randrange(len(pool) - size)
    return "\n".join(pool[start : start + size][at : at + 80] for at in range(0, size, 80))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--parts", type=int, default=100_000)
    arguments = parser.parse_args()
    print(f"{generate(arguments.path, arguments.parts):,} parts in {arguments.path}")
