"""A git repository with a long history for benchmarks/mine.py: Ruby that looks real, grown commit by commit.

The same seed gives the same repository, to the commit id. Its shape is that of a public one that was measured: a fifth
of the commits are merges, another fifth touches no Ruby or is by a bot; the others change four files of Ruby on
average, most of them one or two, and a changelog; some rename or add a file. 1,400 files of 2 to 30 KB, 8 KB on
average, in folders of a hundred and more.
"""

from __future__ import annotations

import random
import subprocess
from pathlib import Path
from typing import IO

_NOUNS = [
    a + b
    for a in ("ac", "ba", "ca", "dra", "en", "fi", "gro", "he", "in", "jo", "la", "que", "re", "sto", "tra", "wi")
    for b in (
        "count",
        "tch",
        "che",
        "ft",
        "try",
        "eld",
        "up",
        "ader",
        "dex",
        "bel",
        "ue",
        "cord",
        "rage",
        "dow",
        "lt",
        "m",
    )
]
_VERBS = ["apply", "build", "check", "collect", "copy", "emit", "filter", "find", "load", "merge", "parse", "send"]
_FILES = [1] * 46 + [2] * 25 + [3] * 10 + [4] * 4 + [5] * 3 + [6] * 3 + [9] * 4 + [15] * 2 + [40] * 2 + [70]
_WHY = ["for empty input", "when the list is frozen", "in nested groups", "on Windows", "after a restart", "at the end"]
_PEOPLE = ["Ada Field", "Ben Ortiz", "Chi Nguyen", "Dora Smith", "Eli Novak"]


FILES = 1_400  # at the start


class Writer:
    """Writes a history as `git fast-import` reads it."""

    def __init__(self, stream: IO[bytes], seed: int) -> None:
        self.random = random.Random(seed)
        self.stream = stream
        self.files: dict[str, list[list[str]]] = {}  # path -> methods as lines
        self.mark = 0
        self.clock = 1_300_000_000

    def method(self) -> list[str]:
        r = self.random
        noun, verb = r.choice(_NOUNS), r.choice(_VERBS)
        lines = [
            f"    # {verb.capitalize()}s the {noun} {r.choice(_WHY)}.",
            f"    def {verb}_{noun}_{r.randrange(900)}({noun}, limit = {r.randrange(99)})",
        ]
        lines += [self.line() for _ in range(r.randint(2, 14))]
        return [*lines, "    end", ""]

    def line(self) -> str:
        r = self.random
        noun, verb, other = r.choice(_NOUNS), r.choice(_VERBS), r.choice(_NOUNS)
        number = r.randrange(1000)
        return "      " + r.choice(
            (
                f"return {noun} if {noun}.nil? || {noun}.size > {number}",
                f"{noun} = {other}.{verb}(limit, {number})",
                f"@{noun}s << {other}.map {{ |one| one.{verb} + {number} }}",
                f"raise ArgumentError, \"no {noun} in the {other}: #{{limit}}\" unless {noun}",
                f"{other}.each_with_index {{ |{noun}, at| {verb}({noun}, at * {number}) }}",
                f"logger.debug(\"{verb} {noun} #{{{noun}}} of {number}\")",
            )
        )  # fmt: skip

    def text(self, path: str) -> bytes:
        name = path.rsplit("/", 1)[1][:-3].replace("_", " ").title().replace(" ", "")
        body = "\n".join(line for method in self.files[path] for line in method)
        return f"# frozen_string_literal: true\n\nmodule Ledger\n  class {name}\n{body}\n  end\nend\n".encode()

    def new_file(self) -> str:
        r = self.random
        folder = r.choice(("lib/ledger/rules/", "spec/ledger/rules/")) + r.choice(("", "style", "layout", "lint", "io"))
        path = f"{folder.rstrip('/')}/{r.choice(_NOUNS)}_{r.choice(_VERBS)}_{len(self.files)}.rb"
        size = min(70, max(4, round(r.lognormvariate(2.75, 0.6))))
        self.files[path] = [self.method() for _ in range(size)]
        return path

    def change(self, path: str) -> None:
        r = self.random
        methods = self.files[path]
        for _ in range(r.choice((1, 1, 1, 2, 3))):
            at = r.randrange(len(methods))
            kind = r.random()
            if kind < 0.15 and len(methods) < 90:
                methods.insert(at, self.method())
            elif kind < 0.25 and len(methods) > 4:
                del methods[at]
            else:
                method = methods[at]
                spot = r.randrange(2, max(3, len(method) - 2))
                gone = min(r.choice((0, 1, 1, 2)), len(method) - 2 - spot)  # never its `end`
                method[spot : spot + max(gone, 0)] = [self.line() for _ in range(r.randint(1, 3))]

    def commit(self, message: str, changes: dict[str, bytes | None], parents: list[int], author: str = "") -> int:
        """Write one commit on top of `parents`; None removes a path."""
        self.mark += 1
        self.clock += self.random.randrange(300, 9000)
        who = author or self.random.choice(_PEOPLE)
        person = f"{who} <{who.split()[0].lower()}@example.org> {self.clock} +0000".encode()
        data = message.encode()
        out = [b"commit refs/heads/main\nmark :%d\nauthor %s\ncommitter %s\n" % (self.mark, person, person)]
        out.append(b"data %d\n%s\n" % (len(data), data))
        for word, parent in zip((b"from", b"merge"), parents, strict=False):
            out.append(b"%s :%d\n" % (word, parent))
        for path, content in changes.items():
            if content is None:
                out.append(b"D %s\n" % path.encode())
            else:
                out.append(b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(content), content))
        self.stream.write(b"".join(out) + b"\n")
        return self.mark

    def message(self) -> str:
        r = self.random
        verb, noun = r.choice(("Fix", "Add", "Simplify", "Speed up", "Support", "Handle")), r.choice(_NOUNS)
        subject = f"{verb} the {noun} {r.choice(_VERBS)}er {r.choice(_WHY)}"
        style = r.random()
        if style < 0.15:
            subject = f"fix({noun}): {subject.lower()}"
        elif style < 0.35:
            subject += f" (#{r.randrange(9000)})"
        elif style < 0.45:
            subject = r.choice(("wip", "fix typo", "Update", "more tests", "cleanup"))
        body = f"\n\nThe {noun} was read twice.\n\nSigned-off-by: A <a@example.org>\n" if r.random() < 0.3 else "\n"
        return subject + body


def generate(folder: Path, commits: int, seed: int = 7) -> None:
    """Create a bare repository at `folder` with this many commits, packed as a clone would be."""
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(folder)], check=True)
    importing = subprocess.Popen(["git", "-C", str(folder), "fast-import", "--quiet"], stdin=subprocess.PIPE)
    assert importing.stdin is not None
    writer = Writer(importing.stdin, seed)
    r = writer.random
    for _ in range(FILES):
        writer.new_file()
    start = {path: writer.text(path) for path in writer.files} | {
        "LICENSE": b"Permission is hereby granted, free of charge, to any person obtaining a copy\n"
    }
    tip = writer.commit("Initial import of the ledger\n", start, [])
    lock = 0
    while writer.mark < commits:
        kind = r.random()
        if kind < 0.06:
            lock += 1
            tip = writer.commit(
                f"Bump rack from 2.{lock} to 2.{lock + 1}\n",
                {"Gemfile.lock": b"rack %d\n" % lock},
                [tip],
                "dependabot[bot] x",
            )
        elif kind < 0.16:
            tip = writer.commit(
                "Explain the setup in the manual\n", {"docs/manual.md": writer.line().encode() * 40}, [tip]
            )
        elif kind < 0.19:
            old = r.choice(sorted(writer.files))
            new = writer.new_file()
            writer.files[new] = writer.files.pop(old)
            writer.change(new)
            tip = writer.commit(writer.message(), {old: None, new: writer.text(new)}, [tip])
        elif kind < 0.22:
            path = writer.new_file()
            tip = writer.commit(writer.message(), {path: writer.text(path)}, [tip])
        else:
            paths = r.sample(sorted(writer.files), min(len(writer.files), r.choice(_FILES)))
            for path in paths:
                writer.change(path)
            changes: dict[str, bytes | None] = {path: writer.text(path) for path in paths}
            if r.random() < 0.5:
                changes["CHANGELOG.md"] = f"{writer.mark}: {writer.line()}\n".encode()
            if r.random() < 0.25:  # a branch of one commit, merged
                side = writer.commit(writer.message(), changes, [tip])
                tip = writer.commit(f"Merge pull request #{writer.mark} from side\n", {}, [side, tip])
            else:
                tip = writer.commit(writer.message(), changes, [tip])
    importing.stdin.close()
    if importing.wait():
        raise SystemExit("git fast-import failed")
    subprocess.run(["git", "-C", str(folder), "repack", "-adfq", "--depth=50", "--window=10"], check=True)
