"""Redaction: how much is found, how much is taken for a secret that is none, how fast.

    python benchmarks/redact.py [--public FOLDER] [--code FOLDER] [--megabytes 30]

`--public` names a folder of JSON lines {"text", "secret": true|false, "source"}: test strings of other tools, which are
not part of this repository. Limits: recall >= 95 % of what is planted, at most 2 false hits in 2,000 lines of code that
holds no secret, >= 3 MB/s on one core. Speed stands beside that of the facts' thirty-keyword `re` pass over the lines.
"""

from __future__ import annotations

import argparse
import json
import re
import site
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from planted_secrets import harmless, planted

from lora_tui.curation.redact import Redactor, redact_text
from lora_tui.curation.redact_rules import active
from lora_tui.curation.redact_scan import scan

LIMIT_RECALL = 0.95
LIMIT_FALSE = 2
LIMIT_SPEED = 3.0  # MB/s
ROUNDS = 20

# The bare pass: each line through one case-insensitive alternation of literals, nothing else.
_BARE = re.compile(
    r"(?i)akia|asia|gh[pousr]_|github_pat|glpat|sk-|hf_|tgp_v1|xox[abposr]-|hooks\.slack|k_(?:live|test)_|aiza"
    r"|private key|eyj|://[^\s/]*:[^\s/]*@|npm_|pypi-|rubygems_|\bsg\.|do[opr]_v1|accountkey|bearer|sentry|machine "
    r"|\"auth\"|secret|token|passw|api.?key|_key|credential"
)


def recall() -> tuple[int, int, Counter[str]]:
    """Found and planted, of several rounds with new values; what was missed, by kind."""
    found = total = 0
    missed: Counter[str] = Counter()
    for _ in range(ROUNDS):
        for kind, text, secret in planted():
            safe, _findings = redact_text(f"first line\n{text}\nlast line\n")
            total += 1
            if secret in safe or longest_left(secret, safe) >= 12:
                missed[kind] += 1
            else:
                found += 1
    return found, total, missed


def longest_left(secret: str, safe: str) -> int:
    """The longest beginning of the secret that is still to be read."""
    size = 0
    while size < len(secret) and secret[: size + 1] in safe:
        size += 1
    return size if size > len("-----BEGIN OPENSSH PRIVATE KEY-----") or not secret.startswith("-----") else 0


def false_hits(lines: list[str]) -> list[str]:
    """The rules that took one of these lines for a secret."""
    return [hit.rule.id for line in lines for hit in scan(line, active()) if hit.rule.kind == "secret"]


def code_files(folder: Path) -> Iterator[str]:
    """Source files, in an order that mixes packages."""
    names = sorted(folder.rglob("*.py"), key=lambda path: (path.name, str(path)))
    for path in names:
        if not any(part in ("test", "tests", "testing") for part in path.parts):
            yield path.read_text(errors="replace")


def session_like(texts: list[str], size: int) -> list[str]:
    """Code as sessions carry it: as it is, as a read tool shows it, and inside JSON; texts of `size` bytes together."""
    made: list[str] = []
    total = 0
    while total < size:
        for index, text in enumerate(texts):
            if index % 3 == 1:
                text = "\n".join(f"{number:05}| {line}" for number, line in enumerate(text.splitlines(), 1))
            elif index % 3 == 2:
                text = json.dumps({"filePath": "/home/user/app/a.py", "content": text})
            made.append(text)
            total += len(text)
            if total >= size:
                break
    return made


def public(folder: Path) -> dict[str, dict[bool, list[int]]]:
    """Per tool: [flagged, all] of the strings that are secrets for it, and of those that are none."""
    counts: dict[str, dict[bool, list[int]]] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            tool = counts.setdefault(row["source"].split()[0], {True: [0, 0], False: [0, 0]})
            flagged = any(hit.rule.kind == "secret" for hit in scan(row["text"], active()))
            tool[row["secret"]][0] += flagged
            tool[row["secret"]][1] += 1
    return counts


def main() -> int:
    """Measure, print, and say whether the limits hold."""
    options = argparse.ArgumentParser()
    options.add_argument("--public", type=Path)
    options.add_argument("--code", type=Path, default=Path(site.getsitepackages()[0]))
    options.add_argument("--megabytes", type=int, default=30)
    given = options.parse_args()

    found, total, missed = recall()
    print(f"planted: {found} of {total} found ({found / total:.1%}), {total // ROUNDS} kinds; missed: {dict(missed)}")

    texts: list[str] = []
    lines: list[str] = []
    for text in code_files(given.code):
        texts.append(text)
        lines += [line for line in text.splitlines() if line.strip()]
        if sum(map(len, texts)) > given.megabytes * 500_000:
            break
    whole = [hit.rule for text in texts for hit in scan(text, active())]
    secrets = [rule.id for rule in whole if rule.kind == "secret"]
    per_2000 = len(secrets) * 2000 / len(lines)
    print(f"code: {len(secrets)} hits in {len(lines):,} lines: {per_2000:.2f} in 2,000 {dict(Counter(secrets))}")
    print(f"  personal data there: {dict(Counter(rule.id for rule in whole if rule.kind == 'personal'))}")
    hard = harmless()
    print(f"harmless look-alikes: {len(wrong := false_hits(hard))} of {len(hard)} {wrong}")

    if given.public:
        for tool, counts in public(given.public).items():
            (yes, all_yes), (no, all_no) = counts[True], counts[False]
            print(f"strings of {tool}: {yes} of {all_yes} secrets ({yes / all_yes:.0%}), {no} of {all_no} others")

    session = session_like(texts, given.megabytes * 1_000_000)
    size = sum(map(len, session)) / 1e6
    began = time.process_time()
    for text in session:
        Redactor().text(text)
    ours = time.process_time() - began
    began = time.process_time()
    for text in session:
        for line in text.splitlines():
            _BARE.search(line)
    bare = time.process_time() - began
    print(f"speed: {size / ours:.1f} MB/s on {size:.0f} MB; a bare pass over the lines: {size / bare:.1f} MB/s")
    print(f"  redaction takes {ours / bare:.2f}x the CPU time of the bare pass")
    good = found / total >= LIMIT_RECALL and per_2000 <= LIMIT_FALSE and size / ours >= LIMIT_SPEED
    print("within the limits" if good else "NOT within the limits")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
