"""Agent sessions around real code, each with the language a person would call it. For benchmarks/classification.py.

The label is decided before a session is told: the language of the files that are edited, or of the code that is asked
for; 'mixed' where two languages are edited alike, 'none' where no code is. What happens besides (what is read, run,
printed) is drawn as agents and projects do it, from lists that know nothing of the classifier's rules, wrong turns
included: tools of other ecosystems, files of other languages, outputs that belong to something else.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import NamedTuple

from public_code import Source

from lora_tui.sources.model import About, Function, Message, ToolCall

SHAPES = ("opencode", "opencode2", "claude", "codex", "aider", "chat", "git")
LANGUAGES = ("rust", "typescript", "python", "ruby", "swift", "go", "javascript", "shell")

Files = dict[str, list[Source]]


class Labelled(NamedTuple):
    """One session and what it is."""

    label: str
    shape: str
    story: str
    messages: list[Message]


# How projects of a language are checked: (command, output), as their own tools or a wrapper around them do it.
CHECKS = {
    "rust": [
        (
            "cargo test",
            "   Compiling app v0.1.0\n    Finished test [unoptimized] target(s) in 2.1s\ntest result: ok. 12 passed",
        ),
        ("cargo clippy --all-targets", "warning: unused variable: `x`\n --> src/lib.rs:10:9"),
        ("just test", "running 12 tests\n............\ntest result: ok. 12 passed; 0 failed"),
        ("nix develop -c cargo nextest run", "Summary [0.2s] 12 tests run: 12 passed, 0 skipped"),
        ("make check", "error[E0308]: mismatched types\n  --> src/ring.rs:31:5"),
    ],
    "typescript": [
        ("npx tsc --noEmit", "src/app.ts(12,7): error TS2322: Type 'string' is not assignable to type 'number'."),
        ("pnpm vitest run", " Test Files  3 passed (3)\n      Tests  14 passed (14)"),
        ("npm test", "> jest\n\nTests:       14 passed, 14 total"),
        ("yarn build", "vite v5.0.0 building for production...\n✓ 120 modules transformed."),
        ("bun test", "14 pass\n0 fail"),
    ],
    "python": [
        ("pytest -q", "14 passed in 0.31s"),
        ("python -m unittest", "Ran 14 tests in 0.021s\n\nOK"),
        ("hatch run test", "============ 14 passed in 0.40s ============"),
        ("make test", 'Traceback (most recent call last):\n  File "app/core.py", line 3, in <module>\nKeyError: 1'),
        ("ruff check .", "All checks passed!"),
    ],
    "ruby": [
        ("bundle exec rspec", "14 examples, 0 failures"),
        ("bin/rails test", "14 runs, 31 assertions, 0 failures, 0 errors, 0 skips"),
        ("rake", "14 runs, 31 assertions, 0 failures, 0 errors, 0 skips"),
        ("docker compose run web rspec spec/models", "14 examples, 1 failure"),
        ("rubocop -A lib", "7 files inspected, no offenses detected"),
    ],
    "swift": [
        ("swift test", "Build complete! (3.1s)\nTest Suite 'All tests' passed\n Executed 14 tests, with 0 failures"),
        ("swift build", "Sources/App/Ring.swift:3:9: error: cannot find 'x' in scope"),
        ("xcodebuild -scheme App test | xcbeautify", "Test Succeeded"),
        ("tuist test", "The project tests ran successfully"),
        ("make test", "** TEST SUCCEEDED **"),
    ],
    "go": [
        ("go test ./...", "ok  \texample.org/app/ring\t0.012s"),
        ("go vet ./...", ""),
        ("make test", "--- FAIL: TestRing (0.00s)\n    ring_test.go:21: got 1\nFAIL"),
        ("task test", "ok  \texample.org/app/ring\t(cached)"),
        ("golangci-lint run", "ring.go:31:2: ineffectual assignment to err (ineffassign)"),
    ],
    "javascript": [
        ("npm test", "  14 passing (31ms)"),
        ("node --test", "# tests 14\n# pass 14\n# fail 0"),
        ("yarn jest", "Tests:       14 passed, 14 total"),
        ("npx eslint lib", "✖ 2 problems (2 errors, 0 warnings)"),
        (
            "node index.js",
            "/app/lib/ring.js:31\nTypeError: x is not a function\n    at Object.<anonymous> (/app/lib/ring.js:31:5)",
        ),
    ],
    "shell": [
        ("shellcheck run.sh", "In run.sh line 3:\necho $1\n     ^-- SC2086: Double quote to prevent globbing"),
        ("bash -n scripts/build.sh", ""),
        ("bats test", "1..4\nok 1 builds\nok 2 cleans"),
        ("sh ./install.sh --dry-run", "would copy 4 files"),
        ("./scripts/release.sh -n", "release 1.2.3 (dry run)"),
    ],
}

# What agents run besides, in any project.
ANYTHING = [
    ("git status --short", " M src/core\n?? notes.txt"),
    (
        "ls -la",
        "total 48\ndrwxr-xr-x 9 dev dev 4096 .\n-rw-r--r-- 1 dev dev 812 README.md\n-rw-r--r-- 1 dev dev 220 Makefile",
    ),
    ("git log --oneline -5", "3f2c1aa Fix the cache\n99ac1b2 Add a ring buffer"),
    ("grep -rn TODO . | head", "./docs/plan.md:3: TODO"),
    (
        "cat .github/workflows/ci.yml",
        "jobs:\n  test:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4",
    ),
    ("wc -l $(git ls-files) | tail -1", "  8120 total"),
    ("docker compose up -d db", "Container app-db-1  Started"),
    ("curl -s localhost:8080/health", '{"ok":true}'),
    ('python3 -c \'import json;print(json.load(open("package.json"))["version"])\'', "1.2.0"),
    ("node -e 'console.log(process.version)'", "v20.11.0"),
    ("pre-commit run -a", "trim trailing whitespace.................................................Passed"),
    ("which jq rg fd", "/usr/bin/jq\n/usr/bin/rg"),
]

SIDE_FILES = {
    "README.md": "# App\n\nA small program.\n\n## Install\n\nSee the docs.\n",
    "docs/architecture.md": "# Architecture\n\nThere are three layers.\n",
    "package.json": '{\n  "name": "app",\n  "version": "1.2.0",\n  "scripts": {"test": "jest"}\n}\n',
    "Dockerfile": "FROM debian:12\nRUN apt-get update\nCOPY . /app\n",
    "config/settings.yml": "cache:\n  size: 12\n",
    ".github/workflows/ci.yml": "jobs:\n  test:\n    runs-on: ubuntu-latest\n",
    "CHANGELOG.md": "## 1.2.0\n\n- Faster start\n",
    "Makefile": "test:\n\t./run-tests\n",
    "schema.sql": "CREATE TABLE item (id integer primary key, name text);\n",
    "web/index.html": "<!doctype html>\n<title>App</title>\n<div id=app></div>\n",
    "data/sample.json": '[{"id": 1}, {"id": 2}]\n',
}

ASKS = [
    "Fix the bug where the second call returns the old value",
    "Refactor this so that the parsing is in its own function",
    "Add a limit to the cache, oldest entries go first",
    "There is a failing test, find out why and fix it",
    "Rename the option to something clearer everywhere",
    "Make this handle empty input without an error",
    "Write tests for the edge cases of this file",
    "Implement the missing method as the issue says",
    "Speed up the loop that runs on start",
    "Add logging around the network calls",
]
QUESTIONS = [
    "How does this file decide what to do with a wrong argument?",
    "Explain what happens when this is called twice",
    "Where is the retry logic and is it safe?",
]
TALK = [
    "What is the difference between a mutex and a semaphore?",
    "Help me write a polite answer to this issue on the tracker",
    "Which licence should a small library have?",
    "Summarise the release notes for our users",
    "Plan the migration of our database to the new host",
    "How should we name the environments of the deployment?",
]
NAMES = {"typescript": "TypeScript", "javascript": "JavaScript", "shell": "bash script"}


def sessions(files: Files, each: int, seed: int = 1, noise: int = 1) -> Iterator[Labelled]:
    """`each` sessions per language, as many mixed and as many without code; all shapes in turn.

    `noise`: how much more happens besides than usually does.
    """
    drawn = random.Random(seed)
    _Told.noisy = noise
    for language in LANGUAGES:
        for number in range(each):
            yield _code(files, language, SHAPES[number % len(SHAPES)], drawn)
    for number in range(each):
        yield _mixed(files, ("opencode", "claude", "codex", "aider")[number % 4], drawn)
    for number in range(each):
        yield _none(files, ("opencode", "claude", "codex", "chat")[number % 4], drawn)


def _code(files: Files, language: str, shape: str, drawn: random.Random) -> Labelled:
    told = _Told(shape, drawn, files)
    if shape == "chat":
        told.chat(language)
    elif shape == "git":
        told.commit(language)
    else:
        story = "edit" if shape == "aider" else drawn.choices(("edit", "question", "plan"), (8, 1, 1))[0]
        if story == "edit":
            told.work([language] * drawn.choice((1, 1, 2, 3)))
        else:
            told.look(language, plan=story == "plan")
        return Labelled(language, shape, story, told.messages)
    return Labelled(language, shape, "write", told.messages)


def _mixed(files: Files, shape: str, drawn: random.Random) -> Labelled:
    told = _Told(shape, drawn, files)
    first, second = drawn.sample(LANGUAGES, 2)
    told.work([first, second] * drawn.choice((1, 2)))
    return Labelled("mixed", shape, f"{first}+{second}", told.messages)


def _none(files: Files, shape: str, drawn: random.Random) -> Labelled:
    told = _Told(shape, drawn, files)
    story = "talk" if shape == "chat" else drawn.choice(("talk", "docs", "chores"))
    if story == "talk":
        told.say("user", drawn.choice(TALK))
        told.say(
            "assistant", "Here is how I would do it: first list what depends on it, then decide, then write it down."
        )
    elif story == "docs":
        told.docs(drawn.choice(LANGUAGES))
    else:
        told.chores()
    return Labelled("none", shape, story, told.messages)


class _Told:
    """A session while it is told, in the words of one agent."""

    noisy = 1

    def __init__(self, shape: str, drawn: random.Random, files: Files) -> None:
        self.shape, self.drawn, self.files = shape, drawn, files
        self.messages: list[Message] = []

    def work(self, languages: list[str]) -> None:
        """A request that ends in edits of one file per entry."""
        chosen = [self.drawn.choice(self.files[language]) for language in languages]
        name = chosen[0].path.rsplit("/", 1)[-1]
        ask = self.drawn.choice(ASKS) + (f" ({name})" if self.drawn.random() < 0.4 else "")
        self.say("user", ask)
        if self.shape == "aider":
            self.answer_with_blocks(chosen)
            return
        self.say("assistant", "I'll look at the code first.")
        self.noise(languages[0], 2)
        for source in chosen:
            self.read(source.path, source.text)
            self.edit(source)
            if self.drawn.random() < 0.3:
                self.edit(source)
        self.noise(languages[0], 1)
        if self.drawn.random() < 0.6:
            self.run(*self.drawn.choice(CHECKS[self.drawn.choice(languages)]))
        self.say("assistant", "Done. The change is small; see the diff.")

    def look(self, language: str, plan: bool) -> None:
        """Code is only read: a question about it, or a plan for it."""
        sources = self.drawn.sample(self.files[language], 3)
        self.say(
            "user",
            "Make a plan first, do not change anything yet: " + ASKS[1] if plan else self.drawn.choice(QUESTIONS),
        )
        for source in sources:
            self.read(source.path, source.text)
        self.noise(language, 2)
        self.say("assistant", "1. Read the input.\n2. Split it.\n3. Handle the rest in one place.")

    def docs(self, language: str) -> None:
        """Only documents are edited, in a project of some language."""
        self.say("user", "Bring the README up to date with what the program does")
        for source in self.drawn.sample(self.files[language], 2):
            self.read(source.path, source.text)
        self.run(*self.drawn.choice(CHECKS[language]))
        path = self.drawn.choice(("README.md", "docs/guide.md", "CHANGELOG.md", "config/settings.yml"))
        self.edit(Source("none", "app", path, "# App\n\nA small program.\n\n## Install\n\nSee the docs.\n" * 3))
        self.say("assistant", "The document is up to date.")

    def chores(self) -> None:
        """Work in the shell without code."""
        self.say("user", "Clean up the old branches and free some disk space")
        for command, output in self.drawn.sample(ANYTHING, 4):
            self.run(command, output)
        self.say("assistant", "Done, 3 GB are free again.")

    def chat(self, language: str) -> None:
        """A question and an answer with code, as in chat data."""
        source = self.drawn.choice(self.files[language])
        code = _piece(source.text, self.drawn, 8, 60)
        named = NAMES.get(language, language.capitalize())
        ask = self.drawn.choice(ASKS)
        if self.drawn.random() < 0.6:
            ask = f"{ask}. It is a {named} program." if language != "shell" else f"{ask}. It is a bash script."
        tags = {"shell": ["bash", "sh"], "typescript": ["ts", "typescript"], "javascript": ["js", "javascript"]}
        tag = self.drawn.choice([*tags.get(language, [language]), *tags.get(language, [language]), ""])
        if self.drawn.random() < 0.3:
            ask += f"\n\n```{tag}\n{_piece(source.text, self.drawn, 5, 30)}\n```"
        self.say("user", ask)
        also = "\n\nRun it with:\n\n```bash\n./run.sh --help\n```" if self.drawn.random() < 0.3 else ""
        self.say("assistant", f"Here it is:\n\n```{tag}\n{code}\n```{also}\n\nIt keeps the order.")

    def commit(self, language: str) -> None:
        """A commit of one to three files."""
        self.say("user", self.drawn.choice(ASKS))
        sources = self.drawn.sample(self.files[language], self.drawn.choice((1, 1, 2)))
        for source in sources:
            self.read(source.path, source.text[:4_000])
        for source in sources:
            self.edit(source)

    def answer_with_blocks(self, chosen: list[Source]) -> None:
        """Aider: an answer with SEARCH/REPLACE blocks."""
        answer = ["I'll change it."]
        for source in chosen:
            old, new = _change(source.text, self.drawn)
            tag = source.language if self.drawn.random() < 0.8 else ""
            answer.append(f"{source.path}\n```{tag}\n<<<<<<< SEARCH\n{old}\n=======\n{new}\n>>>>>>> REPLACE\n```")
        about = About(model="lab/model", diffs=tuple(source.path for source in chosen))
        self.messages.append(Message(role="assistant", content="\n\n".join(answer), about=about))

    def noise(self, language: str, most: int) -> None:
        """What agents do besides: side files, other languages' files, commands."""
        for _ in range(self.drawn.randint(0, most * self.noisy)):
            kind = self.drawn.random()
            if kind < 0.35:
                self.run(*self.drawn.choice(ANYTHING))
            elif kind < 0.7:
                path = self.drawn.choice(list(SIDE_FILES))
                self.read(path, SIDE_FILES[path])
            elif kind < 0.85:
                other = self.drawn.choice([name for name in LANGUAGES if name != language])
                source = self.drawn.choice(self.files[other])
                self.read(source.path, source.text)
            elif kind < 0.95:
                self.search(language)
            else:  # a command or an output that belongs to another project
                self.run(*self.drawn.choice(CHECKS[self.drawn.choice(LANGUAGES)]))

    def say(self, role: str, text: str) -> None:
        self.messages.append(Message(role="user" if role == "user" else "assistant", content=text))

    def read(self, path: str, text: str) -> None:
        lines = text.split("\n")[:200]
        match self.shape:
            case "claude":
                shown = "\n".join(f"{number:6}→{line}" for number, line in enumerate(lines, 1))
                self.call("Read", {"file_path": f"/home/dev/app/{path}"}, shown)
            case "codex":
                self.call("exec_command", {"cmd": f"sed -n '1,200p' {path}"}, _codex("\n".join(lines)))
            case "opencode":
                shown = "\n".join(f"{number}: {line}" for number, line in enumerate(lines, 1))
                shown = f"<path>/home/dev/app/{path}</path>\n<type>file</type>\n<content>\n{shown}\n</content>"
                self.call("read", {"filePath": f"/home/dev/app/{path}"}, shown)
            case "opencode2":
                self.call("read", {"path": path}, "\n".join(lines))
            case _:
                self.call("read", {"filePath": path}, "\n".join(lines))

    def edit(self, source: Source) -> None:
        old, new = _change(source.text, self.drawn)
        whole = self.drawn.random() < 0.2
        path = source.path
        match self.shape:
            case "claude" if whole:
                self.call("Write", {"file_path": f"/home/dev/app/{path}", "content": source.text}, "File created")
            case "claude":
                self.call(
                    "Edit", {"file_path": f"/home/dev/app/{path}", "old_string": old, "new_string": new}, "Updated"
                )
            case "codex":
                hunk = "\n".join([*(f"-{line}" for line in old.split("\n")), *(f"+{line}" for line in new.split("\n"))])
                patch = f"*** Begin Patch\n*** Update File: {path}\n@@\n{hunk}\n*** End Patch"
                way = self.drawn.random()
                if way < 0.5:
                    self.call("apply_patch", {"input": patch}, "Success. Updated the following files")
                elif way < 0.8:
                    self.call(
                        "shell",
                        {"command": ["bash", "-lc", f"apply_patch <<'END_OF_PATCH'\n{patch}\nEND_OF_PATCH"]},
                        "Done!",
                    )
                else:
                    self.call(
                        "exec_command", {"cmd": f"cat > {path} <<'END_OF_FILE'\n{source.text}\nEND_OF_FILE"}, _codex("")
                    )
            case "opencode2":
                self.call("edit", {"path": path, "oldString": old, "newString": new}, "Edited")
            case _ if whole:
                self.call("write", {"filePath": path, "content": source.text}, "Wrote file successfully.")
            case _:
                self.call("edit", {"filePath": path, "oldString": old, "newString": new}, "Edit applied successfully.")

    def run(self, command: str, output: str) -> None:
        match self.shape:
            case "claude":
                self.call("Bash", {"command": command, "description": "Run it"}, output)
            case "codex" if self.drawn.random() < 0.5:
                self.call("shell", {"command": ["bash", "-lc", command]}, _codex(output))
            case "codex":
                self.call("exec_command", {"cmd": command}, _codex(output))
            case "opencode2":
                self.call("shell", {"command": command}, output)
            case _:
                self.call("bash", {"command": command}, output)

    def search(self, language: str) -> None:
        found = "\n".join(source.path for source in self.drawn.sample(self.files[language], 4))
        if self.shape == "codex":
            self.call("exec_command", {"cmd": "rg -l value"}, _codex(found))
        else:
            self.call("Grep" if self.shape == "claude" else "grep", {"pattern": "value"}, found)

    def call(self, name: str, arguments: dict[str, object], output: str) -> None:
        identity = f"call_{len(self.messages)}"
        call = ToolCall(id=identity, function=Function(name=name, arguments=json.dumps(arguments)))
        self.messages.append(Message(role="assistant", tool_calls=[call], about=About(model="lab/model")))
        self.messages.append(Message(role="tool", content=output, tool_call_id=identity))


def _codex(output: str) -> str:
    return f"Chunk ID: ea7864\nWall time: 0.0 seconds\nProcess exited with code 0\nOutput:\n{output}"


def _piece(text: str, drawn: random.Random, least: int, most: int) -> str:
    lines = text.split("\n")
    length = min(len(lines), drawn.randint(least, most))
    start = drawn.randint(0, len(lines) - length)
    return "\n".join(lines[start : start + length])


def _change(text: str, drawn: random.Random) -> tuple[str, str]:
    """A region of a file, and the same with lines from elsewhere in the file put into it."""
    old = _piece(text, drawn, 3, 25)
    lines, more = old.split("\n"), _piece(text, drawn, 1, 12).split("\n")
    position = drawn.randint(0, len(lines))
    return old, "\n".join([*lines[:position], *more, *lines[position:]])
