"""How often an automatic language label is right, and how often there is one, on labelled sessions around public code.

    python benchmarks/classification.py [--each 50] [--noise 1] [--development] [--wrong] [--real FOLDER --labels FILE]

Fetches public packages into benchmarks/.cache the first time. Limits: of the labels that need no person's look
(verdict.sure) at least 97 % are right, and at least 60 % of all sessions get one. --real: a folder with session files
of real agents; --labels: JSON {beginning of a request: language} for them, by hand.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from labelled_sessions import LANGUAGES, SHAPES, Labelled, sessions
from public_code import DEVELOPMENT, MEASURED, files

from lora_tui.curation.segment import segments
from lora_tui.curation.snippets import look
from lora_tui.curation.verdict import Verdict

PRECISION, COVERAGE = 0.97, 0.60


def judge(one: Labelled) -> Verdict:
    """The verdict on a session of one request."""
    return next(segments(one.messages, one.shape)).verdict


def table(rows: list[tuple[Labelled, Verdict]]) -> str:
    """Labels down, verdicts across; in brackets how many of them were sure."""
    columns = [*LANGUAGES, "mixed", "none"]
    found = Counter((one.label, verdict.language) for one, verdict in rows)
    sure = Counter((one.label, verdict.language) for one, verdict in rows if verdict.sure)
    others = sorted({verdict.language for _, verdict in rows} - set(columns))
    lines = [f"{'label':11}" + "".join(f"{name[:9]:>12}" for name in (*columns, *others))]
    for label in columns:
        cells = [(found[label, name], sure[label, name]) for name in (*columns, *others)]
        lines.append(f"{label:11}" + "".join(f"{f'{n} ({s})' if n else '·':>12}" for n, s in cells))
    return "\n".join(lines)


def summary(name: str, rows: list[tuple[Labelled, Verdict]]) -> tuple[float, float]:
    """Print and return precision and coverage of the sure labels."""
    sure = [(one, verdict) for one, verdict in rows if verdict.sure]
    right = sum(one.label == verdict.language for one, verdict in sure)
    precision, coverage = right / len(sure) if sure else 1.0, len(sure) / len(rows)
    code = [one.label not in ("none", "mixed") for one, _ in rows]
    of_code = len(sure) / sum(code) if any(code) else 0.0
    print(
        f"{name:24} {len(rows):5} sessions  precision {precision:6.1%}  coverage {coverage:6.1%}"
        f"  (of those in one language {of_code:6.1%})"
    )
    return precision, coverage


def real(folder: Path, labels: Path) -> list[tuple[Labelled, Verdict]]:
    """Real sessions under `folder`, read as an ingest reads them, where `labels` has a word on their request."""
    import msgspec

    from lora_tui.curation.refresh import refresh
    from lora_tui.sources.ingest import ingest
    from lora_tui.workspace.layout import Workspace

    wanted = json.loads(labels.read_text())
    rows = []
    with tempfile.TemporaryDirectory() as place:
        workspace = Workspace(Path(place))
        for source, pattern in (
            ("opencode", "*.db"),
            ("claude-code", "**/projects"),
            ("codex", "**/sessions"),
            ("aider", "**/.aider.chat.history.md"),
        ):
            for path in sorted(folder.glob(pattern)):
                ingest(workspace, source, [path])
        refresh(workspace)
        for request, source, verdict in workspace.connection().execute(
            "SELECT request, source, verdict FROM example JOIN session ON session.id = session_id "
            "WHERE dropped IS NULL OR dropped NOT IN ('duplicate', 'withdrawn')"
        ):
            label = next((word for begin, word in wanted.items() if request.startswith(begin)), None)
            if label is None:
                print(f"no label for: {request!r} ({source})")
                continue
            rows.append((Labelled(label, source, request, []), msgspec.json.decode(verdict, type=Verdict)))
    return rows


def main() -> int:
    """Print the figures; exit code 1 when a limit does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--each", type=int, default=50, help="sessions per language")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--noise", type=int, default=1, help="how much more than usual happens besides")
    parser.add_argument("--development", action="store_true", help="the packages that rules may be looked up in")
    parser.add_argument("--real", type=Path)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--wrong", action="store_true", help="show what was surely wrong")
    arguments = parser.parse_args()
    code = files(DEVELOPMENT if arguments.development else MEASURED, 200)
    told = list(sessions(code, arguments.each, arguments.seed, arguments.noise))
    begin = time.process_time()
    rows = [(one, judge(one)) for one in told]
    seconds = time.process_time() - begin
    size = sum(len(str(message.content)) for one in told for message in one.messages)
    print(table(rows), "\n")
    precision, coverage = summary("all", rows)
    for shape in SHAPES:
        summary(f"  {shape}", [row for row in rows if row[0].shape == shape])
    opinions = [(one.label, verdict.opinion) for one, verdict in rows if verdict.opinion and one.label in LANGUAGES]
    agreed = sum(label == opinion for label, opinion in opinions)
    print(f"opinion on the written code: {len(opinions)} given, {agreed / len(opinions):.1%} right")
    pieces = [(source, look(source.text[:3_000]).language) for group in code.values() for source in group]
    given = [(source.language, language) for source, language in pieces if language]
    alike = {"javascript": "typescript"}
    right = sum(alike.get(a, a) == alike.get(b, b) for a, b in given)
    print(f"files by their looks alone: {len(given)} of {len(pieces)} told, {right / len(given):.1%} right (JS = TS)")
    print(f"{size / seconds / 2**20:.1f} MiB of session text per CPU second, segments and redaction included")
    if arguments.wrong:
        show(rows)
        open_ = Counter((one.shape, one.story) for one, v in rows if not v.sure and one.label in LANGUAGES)
        print("no sure label for: " + ", ".join(f"{a} {b} ×{n}" for (a, b), n in open_.most_common()))
    if arguments.real and arguments.labels:
        found = real(arguments.real, arguments.labels)
        print()
        summary("real sessions", found)
        print(table(found))
        if arguments.wrong:
            show(found)
    good = precision >= PRECISION and coverage >= COVERAGE
    print(f"limits (precision ≥ {PRECISION:.0%}, coverage ≥ {COVERAGE:.0%}): {'held' if good else 'NOT held'}")
    return 0 if good else 1


def show(rows: list[tuple[Labelled, Verdict]]) -> None:
    """What was surely wrong, with its evidence."""
    for one, verdict in rows:
        if verdict.sure and verdict.language != one.label:
            said = "; ".join(f"{item.language}: {item.detail} ({item.weight:.0f})" for item in verdict.evidence)
            print(f"  {one.label} {one.shape} {one.story}: {verdict.language} {verdict.confidence} — {said}")


if __name__ == "__main__":
    sys.exit(main())
