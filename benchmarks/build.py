"""The memory of building a dataset version from many accepted examples.

    python benchmarks/build.py [--examples 100000] [--workspace FOLDER]

Examples of two to six thousand characters: a request, then an answer with code or an edit by a tool, as an ingest
stores them; one in ten resembles nine others. Limit: 500 MiB at 100,000. The build is a process of its own, `lora-tui
dataset build`; its peak is what the kernel counted for it (VmHWM, pages of mapped files included).
A workspace that is named is kept, and filled only where it is not there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

LIMIT_MIB = 500.0
PER_SESSION = 5
LANGUAGES = ("rust", "typescript", "python", "ruby", "swift")
FOLDERS = tuple(f"/home/dev/project{number}" for number in range(12))
START = 1_780_000_000_000
WORDS = tuple(f"{a}{b}" for a in "bcdfglmnprst" for b in ("ander", "ock", "ilt", "une", "ex", "orm", "ask", "eld"))

_RUN = """
import sys
from lora_tui.cli.main import run
code = run(sys.argv[1:])
with open('/proc/self/status') as status:
    peak = next(line.split()[1] for line in status if line.startswith('VmHWM'))
print(peak, file=sys.stderr)
sys.exit(code)
"""


def fill(folder: Path, number: int) -> None:
    """A workspace with this many examples, all accepted by a person."""
    from lora_tui.workspace.layout import Workspace

    workspace = Workspace(folder)
    draw = random.Random(7)
    with workspace.transaction() as connection:
        for first in range(1, number + 1, PER_SESSION):
            session = (first - 1) // PER_SESSION + 1
            created = START + session * 60_000
            connection.execute(
                "INSERT INTO session (id, source, native_id, title, directory, agent, model, version, created,"
                " updated, origin, fingerprint, curated, messages)"
                " VALUES (?, 'opencode', ?, ?, ?, 'build', ?, '1', ?, ?, 'x.db', '1', '1', ?)",
                (
                    session,
                    f"ses_{session:08}",
                    f"Session {session}",
                    FOLDERS[session % len(FOLDERS)],
                    f"lab/model{session % 3}",
                    created,
                    created,
                    4 * PER_SESSION,
                ),
            )
            seq = 0
            for example in range(first, min(first + PER_SESSION, number + 1)):
                messages = list(conversation(draw, example))
                bodies = [json.dumps(message).encode() for message in messages]
                connection.executemany(
                    "INSERT INTO message VALUES (?, ?, ?)",
                    ((session, seq + at, body) for at, body in enumerate(bodies)),
                )
                key = hashlib.blake2b(b"".join(bodies), digest_size=16).hexdigest()
                language = LANGUAGES[example % len(LANGUAGES)]
                verdict = {"language": language, "confidence": 0.9, "sure": True, "shares": {}, "evidence": []}
                connection.execute(
                    "INSERT INTO example (id, session_id, native_id, first_seq, last_seq, key, request, language,"
                    " confidence, verdict, agent, model, turns, characters, created, decision)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0.9, ?, 'build', 'lab/model', 1, ?, ?, 'accept')",
                    (
                        example,
                        session,
                        f"m{example}",
                        seq,
                        seq + len(bodies) - 1,
                        key,
                        str(messages[0]["content"])[:200],
                        language,
                        json.dumps(verdict).encode(),
                        sum(map(len, bodies)),
                        created + seq * 1000,
                    ),
                )
                connection.execute(
                    "INSERT INTO label (example_id, example_key, action, author, at, batch)"
                    " VALUES (?, ?, 'accept', 'ana', ?, 'all')",
                    (example, key, created),
                )
                seq += len(bodies)
    workspace.close()


def conversation(draw: random.Random, example: int) -> Iterator[dict[str, object]]:
    """One example's messages, of some 2 KB each."""
    text = draw if example % 10 else random.Random(example // 100)  # ten of a hundred resemble each other
    name = f"{text.choice(WORDS)}_{text.choice(WORDS)}"
    asked = f"Change {name} of part {example} so that {words(text, 60)}.\n\n{words(text, 150)}"
    yield {"role": "user", "content": asked, "about": {"native_id": f"m{example}"}}
    if example % 3:
        answer = f"{words(text, 60)}.\n\n```\n{code(text, name, 25)}\n```\n\n{words(text, 40)}."
        yield {"role": "assistant", "content": answer, "about": {"model": "lab/model"}}
        return
    path = f"src/{name}.rs"
    arguments = json.dumps({"filePath": path, "oldString": code(text, name, 4), "newString": code(text, name, 20)})
    call = {"id": f"c{example}", "type": "function", "function": {"name": "edit", "arguments": arguments}}
    yield {"role": "assistant", "content": "", "tool_calls": [call], "about": {"model": "lab/model"}}
    yield {"role": "tool", "content": words(text, 200), "tool_call_id": f"c{example}"}
    yield {"role": "assistant", "content": f"{words(text, 80)}.", "about": {"model": "lab/model"}}


def words(draw: random.Random, number: int) -> str:
    """That many words."""
    return " ".join(draw.choices(WORDS, k=number))


def code(draw: random.Random, name: str, lines: int) -> str:
    """A function of that many lines."""
    body = "\n".join(
        f"    let {draw.choice(WORDS)} = {draw.choice(WORDS)}({draw.choice(WORDS)}, {draw.randrange(10**6)});"
        for _ in range(lines)
    )
    return f"fn {name}() {{\n{body}\n}}"


def main() -> None:
    """Fill, build, report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--examples", type=int, default=100_000)
    parser.add_argument("--workspace", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.workspace or Path(scratch) / "workspace"
        if not (folder / "workspace.db").exists():
            fill(folder, given.examples)
        size = (folder / "workspace.db").stat().st_size / 2**20
        start = time.perf_counter()
        command = [sys.executable, "-c", _RUN, "--workspace", str(folder), "dataset", "build", "many", "--json"]
        done = subprocess.run(command, capture_output=True, text=True)
        wall = time.perf_counter() - start
        if done.returncode:
            sys.exit(done.stderr)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        peak = int(done.stderr.split()[-1]) / 1024
        built = json.loads(done.stdout)
        print(f"{given.examples:,} accepted examples, {size:,.0f} MiB of workspace -> rows {built['rows']}")
        print(f"left out: {built['left_out']}; leakage: {built.get('leakage')}")
        print(
            f"peak {peak:,.0f} MiB (limit {LIMIT_MIB:.0f}); CPU {used.ru_utime + used.ru_stime:,.1f} s; {wall:,.1f} s"
        )
        sys.exit(peak > LIMIT_MIB)


if __name__ == "__main__":
    main()
