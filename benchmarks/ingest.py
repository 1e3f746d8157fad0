"""Ingest against a bare pass over the same rows, in one run, as CPU seconds and ratios.

    python benchmarks/ingest.py [--parts 100000] [--repeat 3]

The bare pass is `SELECT data FROM message` and `… FROM part` with json.loads on each row. Limits: reading and storing
takes at most 2× that; peak memory below 200 MiB; whoever labels meanwhile waits at most a second. Every measurement is
its own process; the least of the repeats counts, of the waits the longest.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIMIT_RATIO = 2.0
LIMIT_MIB = 200.0
LIMIT_WAIT = 1.0  # seconds


def bare(database: Path, decoder: str) -> None:
    """The pass that ingest is measured against."""
    import sqlite3

    import msgspec

    decode = json.loads if decoder == "json" else msgspec.json.decode
    connection = sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    for table in ("message", "part"):
        for (data,) in connection.execute(f"SELECT data FROM {table}"):
            decode(data)


def ingest(database: Path, workspace: Path, curate: bool) -> None:
    """What `lora-tui ingest opencode` does."""
    from lora_tui.sources.ingest import ingest as take_in
    from lora_tui.workspace.layout import Workspace

    place = Workspace(workspace)
    take_in(place, "opencode", [database])
    if curate:
        from lora_tui.curation.refresh import refresh

        refresh(place)


def wait(database: Path, workspace: Path) -> float:
    """The longest that another writer waits during an ingest, in seconds."""
    from lora_tui.workspace.layout import Workspace

    place = Workspace(workspace)
    place.connection()
    command = [sys.executable, __file__, "--task", "ingest", str(database), str(workspace)]
    longest = 0.0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:
        while running.poll() is None:
            before = time.monotonic()
            with place.transaction() as connection:
                connection.execute("UPDATE session SET curated = curated WHERE id = 0")
            longest = max(longest, time.monotonic() - before)
            time.sleep(0.05)
    return longest


def measured(*task: str) -> tuple[float, float]:
    """CPU seconds and peak MiB of one task in its own process, without what starting it takes."""
    done = subprocess.run([sys.executable, __file__, "--task", *task], check=True, capture_output=True, text=True)
    seconds, mebibytes = json.loads(done.stdout)
    return seconds, mebibytes


def main() -> int:
    """Print the table; exit code 1 when a limit does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--task", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.task:
        return _task(arguments.task)
    from generate_opencode import generate

    with tempfile.TemporaryDirectory(prefix="lora-tui-bench-") as folder:
        database = Path(folder) / "opencode.db"
        parts = generate(database, arguments.parts)
        print(f"{parts:,} parts, {database.stat().st_size / 2**20:.0f} MiB; CPU seconds, least of {arguments.repeat}")
        rounds = []
        for number in range(arguments.repeat):  # interleaved, so that a busy machine slows all alike
            place, curated = f"{folder}/w{number}", f"{folder}/c{number}"
            rounds.append(
                {
                    "bare pass, json": measured("bare", str(database), "json"),
                    "bare pass, msgspec": measured("bare", str(database), "msgspec"),
                    "ingest": measured("ingest", str(database), place),
                    "ingest again, nothing changed": measured("ingest", str(database), place),
                    "ingest and find examples": measured("curate", str(database), curated),
                }
            )
        waits = [wait(database, Path(folder) / f"l{number}") for number in range(arguments.repeat)]
    best = {name: min(one[name] for one in rounds) for name in rounds[0]}
    peak = max(one["ingest"][1] for one in rounds)
    base = best["bare pass, json"][0]
    for name, (seconds, mebibytes) in best.items():
        print(f"{name:32} {seconds:7.2f} s {seconds / base:6.2f}×  {mebibytes:6.0f} MiB")
    print(f"{'another writer waits at most':32} {max(waits):7.2f} s")
    good = best["ingest"][0] <= LIMIT_RATIO * base and peak < LIMIT_MIB and max(waits) <= LIMIT_WAIT
    limits = f"ingest ≤ {LIMIT_RATIO}×, < {LIMIT_MIB:.0f} MiB, waits ≤ {LIMIT_WAIT:.0f} s"
    print(f"limits ({limits}): {'held' if good else 'NOT held'}")
    return 0 if good else 1


def _task(task: list[str]) -> int:
    name, database, *rest = task
    if name != "bare":  # imports are start-up, not ingest
        import lora_tui.curation.refresh
        import lora_tui.sources.ingest
        import lora_tui.sources.opencode.source  # noqa: F401
    before = time.process_time()
    if name == "bare":
        bare(Path(database), rest[0])
    else:
        ingest(Path(database), Path(rest[0]), curate=name == "curate")
    seconds = time.process_time() - before
    print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
