"""Mining against reading the same history with `git log -p`, and against PyDriller, in one run.

    python benchmarks/mine.py [REPO] [--extension rb] [--commits 12000] [--folder DIR] [--repeat 3]

Without REPO a repository is generated (kept in --folder). `mine` is the whole pipeline: the log, the files, every rule,
the edits, storing them in a workspace; without finding examples. Limits: at most 1.5× `git log -p`, in CPU and in wall
time; at least 20× as many commits a second as PyDriller (`pip install pydriller`; left out when missing); below
150 MiB, this process and the git processes together. Every measurement is its own process; of the repeats the least
counts, of the memory the most.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

LIMIT_RATIO = 1.5
LIMIT_PYDRILLER = 20.0
LIMIT_MIB = 150.0
SAMPLE = 300  # commits that PyDriller reads


def log_patches(repository: Path, extension: str) -> int:
    """Read the patches of every commit to the end; returns their bytes."""
    command = ["git", "-C", str(repository), "log", "-p", "-M", "--no-merges", "--no-color", "--", f"*.{extension}"]
    size = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0) as running:
        assert running.stdout is not None
        while block := running.stdout.read(1 << 20):
            size += len(block)
    return size


def mine(repository: Path, language: str, workspace: str) -> int:
    """What `lora-tui mine` does, without finding examples; returns the commits seen."""
    from lora_tui.sources.git.filters import Filters
    from lora_tui.sources.git.mine import mine as take_in
    from lora_tui.workspace.layout import Workspace

    place = Workspace(Path(workspace)) if workspace else None
    mined = take_in(place, repository, Filters([language]))
    funnel = mined.funnel
    assert mined.commits == funnel.seen + funnel.earlier
    assert funnel.seen == sum(funnel.dropped.values()) + funnel.kept
    print(f"  {mined.commits:,} commits, {funnel.kept:,} kept", file=sys.stderr)
    return mined.commits


def pydriller(repository: Path, extension: str) -> int:
    """Message, diff, file before and after of the newest SAMPLE commits."""
    from pydriller import Repository

    done = 0
    for commit in Repository(str(repository), only_no_merge=True, order="reverse").traverse_commits():
        for file in commit.modified_files:
            if file.filename.endswith("." + extension):
                _ = file.diff, file.source_code, file.source_code_before
        done += 1
        if done == SAMPLE:
            break
    return done


def measured(*task: str) -> dict[str, float]:
    """CPU seconds (children included), wall seconds, peak MiB of one task in its own process, and its count."""
    done = subprocess.run([sys.executable, __file__, "--task", *task], check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def main() -> int:
    """Print the table; exit code 1 when a limit does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("repository", nargs="?", type=Path)
    parser.add_argument("--extension", default="rb")
    parser.add_argument("--language", default="ruby")
    parser.add_argument("--commits", type=int, default=12_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--task", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.task:
        return _task(given.task)
    with tempfile.TemporaryDirectory(prefix="lora-tui-bench-") as scratch:
        repository = given.repository or _generated(given.folder or Path(scratch), given.commits)
        rounds = []
        for number in range(given.repeat):  # interleaved, so that a busy machine slows all alike
            place = str(Path(scratch) / f"w{number}")
            rounds.append(
                {
                    "git log -p": measured("log", str(repository), given.extension),
                    "mine": measured("mine", str(repository), given.language, place),
                    "mine, nothing stored": measured("mine", str(repository), given.language, ""),
                    "mine again, nothing new": measured("mine", str(repository), given.language, place),
                }
            )
        driller = _with_pydriller(repository, given.extension)
    return _report(rounds, driller)


def _report(rounds: list[dict[str, dict[str, float]]], driller: dict[str, float] | None) -> int:
    best = {
        name: {key: min(one[name][key] for one in rounds) for key in ("cpu", "wall", "count")} for name in rounds[0]
    }
    peak = max(one["mine"]["mib"] for one in rounds)
    base = best["git log -p"]
    for name, row in best.items():
        ratios = f"{row['cpu'] / base['cpu']:6.2f}× CPU {row['wall'] / base['wall']:6.2f}× wall"
        print(f"{name:26} {row['cpu']:7.2f} CPU s {row['wall']:7.2f} s {ratios}")
    commits = best["mine"]["count"]
    print(f"{commits:,.0f} commits, {commits / best['mine']['wall']:,.0f} a second")
    print(f"memory of mine and its git processes together: {peak:.0f} MiB")
    ratio = {key: best["mine"][key] / base[key] for key in ("cpu", "wall")}
    good = max(ratio.values()) <= LIMIT_RATIO and peak < LIMIT_MIB
    if driller is None:
        print("PyDriller is not installed: not compared")
    else:
        per_commit = {key: driller[key] / driller["count"] for key in ("cpu", "wall")}
        print(f"PyDriller: {driller['count'] / driller['wall']:.0f} commits a second over {driller['count']:.0f}")
        for name in ("mine, nothing stored", "mine"):  # PyDriller stores nothing either
            faster = {key: per_commit[key] / (best[name][key] / commits) for key in per_commit}
            print(f"  {name}: {faster['cpu']:.0f}× faster in CPU, {faster['wall']:.0f}× in wall time")
            good = good and faster["wall"] >= LIMIT_PYDRILLER
    limits = f"≤ {LIMIT_RATIO}× git log -p, ≥ {LIMIT_PYDRILLER:.0f}× PyDriller's time, < {LIMIT_MIB:.0f} MiB"
    print(f"limits ({limits}): {'held' if good else 'NOT held'}")
    return 0 if good else 1


def _generated(folder: Path, commits: int) -> Path:
    from generate_repository import generate

    repository = folder / f"history-{commits}.git"
    if not repository.exists():
        print(f"generating {commits:,} commits in {repository}", file=sys.stderr)
        generate(repository, commits)
    return repository


def _with_pydriller(repository: Path, extension: str) -> dict[str, float] | None:
    import importlib.util

    return measured("pydriller", str(repository), extension) if importlib.util.find_spec("pydriller") else None


def _task(task: list[str]) -> int:
    name, repository, *rest = task
    if name == "mine":  # imports are start-up
        import lora_tui.sources.git.mine  # noqa: F401
    elif name == "pydriller":
        import pydriller as _pydriller  # noqa: F401
    watch = _Watch()
    wall, cpu = time.monotonic(), _cpu()
    if name == "log":
        count = log_patches(Path(repository), rest[0])
    elif name == "mine":
        count = mine(Path(repository), rest[0], rest[1])
    else:
        count = pydriller(Path(repository), rest[0])
    took = time.monotonic() - wall
    spent = _cpu() - cpu - watch.close()
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"cpu": spent, "wall": took, "mib": max(watch.peak, own), "count": count}))
    return 0


def _cpu() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    running = sum(_times(child) for child in psutil.Process().children(recursive=True))  # PyDriller leaves gits behind
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime + running


def _times(process: psutil.Process) -> float:
    try:
        spent = process.cpu_times()
    except psutil.Error:  # it has ended
        return 0.0
    return float(spent.user + spent.system)


class _Watch:
    """Samples the memory of this process and its children together."""

    def __init__(self) -> None:
        self.peak = 0.0
        self._spent = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def close(self) -> float:
        """Stop; returns the CPU seconds that the sampling took."""
        self._stop.set()
        self._thread.join()
        return self._spent

    def _sample(self) -> None:
        me = psutil.Process(os.getpid())
        while not self._stop.wait(0.03):
            total = 0
            for process in (me, *me.children(recursive=True)):
                try:
                    total += process.memory_info().rss
                except psutil.Error:  # it has ended
                    continue
            self.peak = max(self.peak, total / 2**20)
            self._spent = time.thread_time()


if __name__ == "__main__":
    sys.exit(main())
