"""How much of test stands in train already: our split of mined commits against others of the same rows and sizes.

    python benchmarks/leakage.py [REPO ...] [--language ruby] [--commits 1500] [--number 1] [--seed 42]

Without REPO a history is generated whose later commits repeat and adapt earlier code. It is mined, every example is
accepted and a version is built, all as the commands do it. The leak is then measured from git itself, with none of the
code that made the split: a sample is the after-side of all hunks of one file in one commit (`git show -U3`, 200 to
8,000 characters); a sample of test leaks when a sample of train has a Jaccard index of at least 0.7 with it, over
five-token shingles; every one is compared with every one. Limit: 0 for our split.
"""

from __future__ import annotations

import argparse
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from generate_repository import Writer

LIKE = 0.7
SHORTEST, LONGEST = 200, 8_000  # characters of a sample
DRAWS = 5

Samples = dict[str, list[frozenset[int]]]  # commit, the oldest first -> the shingles of each of its files


class Row(msgspec.Struct):
    """What of a row the measurement needs."""

    id: str
    session: str  # commit:language
    repository: str = ""


def main() -> int:
    """Print the table; exit code 1 when our split leaks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("repositories", nargs="*", type=Path)
    parser.add_argument("--language", default="ruby")
    parser.add_argument("--extension", default="rb")
    parser.add_argument("--commits", type=int, default=1_500)
    parser.add_argument("--number", type=int, default=1, help="repositories to generate")
    parser.add_argument("--seed", type=int, default=42)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lora-tui-bench-") as scratch:
        folder = Path(scratch)
        repositories = given.repositories or generated(folder, given.commits, given.number, given.seed)
        splits, note = built(folder / "workspace", repositories, given.language, given.seed)
        wanted = {sha(row) for rows in splits.values() for row in rows}
        dated = [one for repository in repositories for one in samples_of(repository, given.extension, wanted)]
        samples: Samples = {commit: found for _, commit, found in sorted(dated, key=lambda one: one[:2])}
    return report(splits, samples, note, given.seed)


def built(root: Path, repositories: Sequence[Path], language: str, seed: int) -> tuple[dict[str, list[Row]], str]:
    """The rows of each split of a version of all that mining finds, and what the manifest says of it."""
    from lora_tui.curation import examples, labels
    from lora_tui.curation.filters import Filter
    from lora_tui.curation.refresh import refresh
    from lora_tui.dataset.versions import build
    from lora_tui.sources.git.filters import Filters
    from lora_tui.sources.git.mine import mine
    from lora_tui.workspace.layout import Workspace
    from lora_tui.workspace.profiles import Data

    workspace = Workspace(root)
    for repository in repositories:
        mine(workspace, repository, Filters([language]))
    refresh(workspace)
    labels.decide(workspace, list(examples.ids(workspace, Filter())), "accept", author="benchmark")
    began = time.monotonic()
    dataset = build(workspace, "leakage", Data(), seed=seed)
    manifest, leak = dataset.manifest, dataset.manifest.leakage
    note = (
        f"built in {time.monotonic() - began:.1f} s: {manifest.split_rule}\n"
        f"rows {manifest.rows}, left out {manifest.left_out}\n"
        f"the manifest's own figures (rows): {leak.leaked} of {leak.test_rows} leak, {leak.at_random:.1%} at random, "
        f"{leak.pairs} pairs"
    )
    splits = {
        name: [
            msgspec.json.decode(line, type=Row) for line in (dataset.folder / f"{name}.jsonl").read_bytes().splitlines()
        ]
        for name in ("train", "validation", "test")
    }
    return splits, note


def report(splits: dict[str, list[Row]], samples: Samples, note: str, seed: int) -> int:
    """Measure the splits beside each other."""
    print(note)
    rows = [row for name in ("train", "validation", "test") for row in splits[name]]
    sizes = {name: len(found) for name, found in splits.items()}
    commits = {name: {sha(row) for row in found} for name, found in splits.items()}
    files = [
        (commit, at) for commit in sorted(set().union(*commits.values())) for at in range(len(samples.get(commit, [])))
    ]
    print(f"{len(rows):,} rows, {len(files):,} samples")

    def taken(commits: set[str]) -> list[frozenset[int]]:
        return [sample for commit in sorted(commits) for sample in samples.get(commit, [])]

    def by_file(drawn: random.Random) -> tuple[list[frozenset[int]], list[frozenset[int]]]:
        mixed = drawn.sample(files, len(files))
        test = len(taken(commits["test"]))
        rest = len(taken(commits["train"]))
        found = [samples[commit][at] for commit, at in mixed]
        return found[:test], found[len(found) - rest :]

    def by_commit(drawn: random.Random) -> tuple[list[frozenset[int]], list[frozenset[int]]]:
        mixed = drawn.sample(sorted(rows, key=lambda row: row.id), len(rows))
        test = {sha(row) for row in mixed[: sizes["test"]]}
        return taken(test), taken({sha(row) for row in mixed[len(mixed) - sizes["train"] :]} - test)

    newest = [commit for commit in samples if commit in set().union(*commits.values())]
    by_time = newest[len(newest) - len(commits["test"]) :], newest[: len(commits["train"])]
    ours = leak(taken(commits["test"]), taken(commits["train"]))
    table: list[tuple[str, str]] = [("ours", f"{ours[0]} of {ours[1]} samples ({_share(ours):.1%})")]
    alone = leak(taken(set(by_time[0])), taken(set(by_time[1])))
    table.append(("by time alone", f"{alone[0]} of {alone[1]} samples ({_share(alone):.1%})"))
    draws: dict[str, Callable[[random.Random], tuple[list[frozenset[int]], list[frozenset[int]]]]] = {
        "random, file by file": by_file,
        "random, commit by commit": by_commit,
    }
    for name, draw in draws.items():
        found = [_share(leak(*draw(random.Random(f"{seed} {turn}")))) for turn in range(DRAWS)]
        table.append((name, f"{sum(found) / DRAWS:.1%} (mean of {DRAWS} draws, {min(found):.1%} to {max(found):.1%})"))
    print("near-duplicates of test in train, measured by comparing everything:")
    for name, said in table:
        print(f"  {name:28} {said}")
    held = ours[0] == 0 and ours[1] > 0
    print(f"limit (ours: 0): {'held' if held else 'NOT held'}")
    return 0 if held else 1


def _share(found: tuple[int, int]) -> float:
    return found[0] / found[1] if found[1] else 0.0


def leak(test: Sequence[frozenset[int]], train: Sequence[frozenset[int]]) -> tuple[int, int]:
    """How many of test resemble one of train, and how many there are."""
    return sum(1 for one in test if any(resembles(one, other) for other in train)), len(test)


def resembles(one: frozenset[int], other: frozenset[int]) -> bool:
    """Jaccard index of at least LIKE; sizes that differ too much cannot have it."""
    if min(len(one), len(other)) < LIKE * max(len(one), len(other)):
        return False
    shared = len(one & other)
    return shared >= LIKE * (len(one) + len(other) - shared)


def sha(row: Row) -> str:
    """The commit a row was made of."""
    return row.session.partition(":")[0]


def samples_of(repository: Path, extension: str, commits: set[str]) -> list[tuple[int, str, list[frozenset[int]]]]:
    """Date, id and files of these commits, as `git show` tells what came of them."""
    command = ["git", "-C", str(repository), "show", "--format=%x00%ct %H", "-U3", "--no-renames", "--stdin"]
    known = subprocess.run(
        ["git", "-C", str(repository), "rev-list", "--all"], capture_output=True, check=True, text=True
    ).stdout.split()
    asked = "".join(f"{commit}\n" for commit in known if commit in commits)
    shown = subprocess.run(
        [*command, "--", f"*.{extension}"], input=asked.encode(), capture_output=True, check=True
    ).stdout.decode(errors="replace")
    found: list[tuple[int, str, list[frozenset[int]]]] = []
    for part in shown.split("\0")[1:]:
        head, _, patch = part.partition("\n")
        date, _, commit = head.partition(" ")
        samples = []
        for file in re.split(r"^diff --git ", patch, flags=re.M)[1:]:
            hunks = re.split(r"^@@[^\n]*\n", file, flags=re.M)[1:]
            after = "".join(line[1:] for hunk in hunks for line in hunk.splitlines(True) if line[0] in " +")
            if SHORTEST <= len(after) <= LONGEST:
                samples.append(_shingles(after))
        found.append((int(date), commit, samples))
    return found


def _shingles(text: str) -> frozenset[int]:
    tokens = re.findall(r"[A-Za-z0-9_]+|[^A-Za-z0-9_\s]", text)
    return frozenset(hash(tuple(tokens[at : at + 5])) for at in range(max(1, len(tokens) - 4)))


def generated(folder: Path, commits: int, number: int, seed: int) -> list[Path]:
    """Histories of Ruby whose later commits repeat and adapt code of earlier ones, of the other repositories too."""
    from generate_repository import Writer

    shared: list[list[str]] = []
    found = []
    for turn in range(number):
        path = folder / f"history{turn}"
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(path)], check=True)
        importing = subprocess.Popen(["git", "-C", str(path), "fast-import", "--quiet"], stdin=subprocess.PIPE)
        assert importing.stdin is not None
        _write_history(Writer(importing.stdin, seed + turn), commits // number, shared)
        importing.stdin.close()
        if importing.wait():
            raise SystemExit("git fast-import failed")
        found.append(path)
    return found


def _write_history(writer: Writer, commits: int, shared: list[list[str]]) -> None:
    """Commits add and change methods, adapt methods and whole files of before, and go on where others left off."""
    r = writer.random
    for _ in range(60):
        writer.new_file()
    tip = writer.commit("Start the ledger\n", {path: writer.text(path) for path in writer.files}, [])
    recent: list[tuple[str, list[str]]] = []
    while writer.mark < commits:
        paths = r.sample(sorted(writer.files), r.choice((1, 1, 1, 2, 2, 3)))
        for path in paths:
            kind = r.random()
            methods = writer.files[path]
            if kind < 0.08:
                copied = [_adapted(r, method) if r.random() < 0.3 else list(method) for method in methods[:4]]
                path = writer.new_file()
                writer.files[path] = copied
                paths = [*paths, path]
            elif kind < 0.2 and shared:
                method = _adapted(r, r.choice(shared))
                methods.insert(r.randrange(len(methods) + 1), method)
                shared.append(method)
            elif kind < 0.4 and recent:
                path, method = r.choice(recent[-40:])
                method[r.randrange(2, max(3, len(method) - 2))] = writer.line()
                paths = [*paths, path]
            elif kind < 0.6:
                method = writer.method()
                methods.insert(r.randrange(len(methods) + 1), method)
                shared.append(method)
                recent.append((path, method))
            else:
                writer.change(path)
        name = paths[0].rsplit("/", 1)[1][:-3]
        message = f"{r.choice(('Fix', 'Add', 'Handle', 'Support'))} the {name} case {r.randrange(9999)}\n"
        tip = writer.commit(message, {path: writer.text(path) for path in dict.fromkeys(paths)}, [tip])


def _adapted(r: random.Random, method: list[str]) -> list[str]:
    """A method as it is written again elsewhere: another name, a line or two changed."""
    lines = list(method)
    lines[1] = re.sub(r"def (\w+?)_?\d*\(", lambda found: f"def {found[1]}_{r.randrange(900)}(", lines[1])
    for _ in range(r.choice((0, 0, 1, 2))):
        at = r.randrange(2, max(3, len(lines) - 2))
        lines[at] = re.sub(r"\d+", lambda _: str(r.randrange(1000)), lines[at])
    return lines


if __name__ == "__main__":
    sys.exit(main())
