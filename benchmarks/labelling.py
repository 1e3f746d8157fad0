"""What one key costs while labelling 100,000 examples: `python benchmarks/labelling.py [EXAMPLES] [KEYS]`.

A key is one answer in a frozen queue of all of them, and everything the screen needs next: the next position, its row
and its whole example. Also: freezing the queue, and a decision about everything with its undo. Limits: 50 ms for a key
(95 of 100, wall time), a CPU second for freezing; with many examples a key costs at most twice what it costs with few.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "budgets"))

import many_examples

from lora_tui.curation import examples, labels, queues, reading
from lora_tui.curation.filters import Filter
from lora_tui.curation.orders import ORDERS
from lora_tui.workspace.layout import Workspace

LIMIT_KEY = 0.050  # seconds
LIMIT_FREEZE = 1.0
LIMIT_RATIO = 2.0
FEW = 1_000

KEYS = ("accept", "reject", "accept", "skip", "accept", "flag", "accept", "undo", "accept", "accept")


def main(number: int, keys: int) -> int:
    """Print the table; exit code 1 when a limit does not hold."""
    few = labelled(FEW, min(keys, FEW // 2), tell=False)
    many = labelled(number, keys, tell=True)
    ratio = many / few
    line(f"a key, against one with {FEW:,} examples", f"{ratio:.2f}×", f"≤ {LIMIT_RATIO:g}×")
    return 0 if many <= LIMIT_KEY and ratio <= LIMIT_RATIO else 1


def labelled(number: int, keys: int, tell: bool) -> float:
    """Label in a workspace of its own; returns the wall seconds that 95 of 100 keys stay below."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder))
        many_examples.fill(workspace, number)
        labels.decide(workspace, range(1, number // 10), "accept", author="ana")
        begun = time.process_time()
        queue = queues.create(workspace, "q", Filter(decision="unlabelled"), "rarest", author="ana")
        froze = time.process_time() - begun
        wall, cpu = press(workspace, queue, keys)
        wall.sort()
        late = wall[int(len(wall) * 0.95)]
        if tell:
            print(f"# {number:,} examples, a queue of {queue.total:,} ({queue.repeated:,} asked again), {keys:,} keys")
            line("freeze the queue", f"{froze * 1000:.0f} ms CPU", f"≤ {LIMIT_FREEZE:g} s")
            middle, worst = statistics.median(wall), wall[-1]
            shown = f"{middle * 1000:.1f} / {late * 1000:.1f} / {worst * 1000:.1f} ms"
            line("a key: median / 95 % / longest, wall", shown, f"≤ {LIMIT_KEY * 1000:.0f} ms at 95 %")
            line("a key: CPU, mean", f"{cpu / keys * 1000:.1f} ms", "")
            rest(workspace, queue)
        workspace.close()
        if froze > LIMIT_FREEZE:
            raise SystemExit(f"freezing took {froze:.2f} s")
    return late


def press(workspace: Workspace, queue: queues.Queue, keys: int) -> tuple[list[float], float]:
    """Answer question after question; the wall seconds of each, and the CPU seconds of all."""
    wall = []
    position: int | None = queues.next_position(workspace, queue)
    began = time.process_time()
    for place in range(keys):
        key = KEYS[place % len(KEYS)]
        begun = time.perf_counter()
        assert position is not None
        if key == "undo":
            undone = labels.undo(workspace, "ana")
            assert undone is not None
            position = undone.positions[0][1] if undone.positions else position
        else:
            queues.decide(workspace, queue, position, key, seconds=1.5)  # type: ignore[arg-type]
            position = queues.next_position(workspace, queue, position)
        assert position is not None
        (item,) = queues.items(workspace, queue, position, 1)
        examples.rows(workspace, [item.example_id])
        reading.example(workspace, item.example_id)
        wall.append(time.perf_counter() - begun)
    return wall, time.process_time() - began


def rest(workspace: Workspace, queue: queues.Queue) -> None:
    """What is not done at every key."""
    everything = Filter(decision="unlabelled")
    for what, work in (
        ("how far the queue is", lambda: queues.open(workspace, "q", "ana")),
        ("what left its filter", lambda: queues.left_filter(workspace, queue)),
        *((f"the list, {order}", lambda order=order: examples.ids(workspace, order=order)) for order in ORDERS),
        ("preview of all unlabelled", lambda: labels.preview(workspace, everything)),
        (
            "accept all unlabelled",
            lambda: labels.decide(workspace, examples.ids(workspace, everything), "accept", author="ana"),
        ),
        ("undo that", lambda: labels.undo(workspace, "ana")),
    ):
        begun = time.perf_counter()
        work()
        line(what, f"{(time.perf_counter() - begun) * 1000:.0f} ms", "")


def line(what: str, found: str, limit: str) -> None:
    """One row of the table."""
    print(f"{what:<42} {found:<30} {limit}")


if __name__ == "__main__":
    given = [int(word.replace("_", "")) for word in sys.argv[1:]]
    raise SystemExit(main(given[0] if given else 100_000, given[1] if len(given) > 1 else 2_000))
