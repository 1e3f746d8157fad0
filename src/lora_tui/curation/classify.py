"""Which language a segment of agent work is about, from evidence that a person can check.

Weights, caps and thresholds: rules/languages.toml. Only what the work shows counts: files edited and read, commands,
what compilers and test runners printed, fenced code, what the written code looks like, and whether the request names a
language. The code's own looks are also kept apart, as an `opinion`: where it differs from the label, a person looks.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from lora_tui.curation import code_blocks
from lora_tui.curation.actions import Action, actions, edits_in_text
from lora_tui.curation.language_rules import EITHER, has_ending, language_of_path, language_of_script, rules
from lora_tui.curation.line_numbers import without_line_numbers
from lora_tui.curation.snippets import look
from lora_tui.curation.verdict import Evidence, Verdict, in_words
from lora_tui.sources.model import Message, own_words, text_of

VERSION = 1  # raise it when the same messages would give another verdict; the tables have their own

_OUTPUT_CHARACTERS = 200_000  # of one output
_WRITTEN_CHARACTERS = 1_200  # of all code of a segment, to judge its looks
_PATH = re.compile(r"(?<![\w*])([\w./~@+-]*[\w-]+\.[a-z]{1,8})(?!\w)")
_GLOB = re.compile(r"\*\.(\w{1,8})\b(?!\.)")  # grep --include="*.go", rg -g '*.rb', find -name '*.ts'
_DIFFED = re.compile(r"^\+\+\+ (?:b/)?(\S+)", re.M)


class Classifier:
    """Collects evidence message by message; `verdict` weighs it. Holds counts, never the messages."""

    def __init__(self) -> None:
        self._rules = rules()
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)  # kind -> language -> pieces
        self._details: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self._reads: dict[str, str] = {}  # calls whose output is a file's content, not what a tool said -> the file
        self._scripts: dict[str, str] = {}  # files without an ending -> language
        self._unclear = 0  # edits of such files that nothing tells the language of
        self._edits = False  # something was written, in whatever language
        self._written: list[str] = []  # a sample of it
        self._room = _WRITTEN_CHARACTERS

    def add(self, message: Message, done: Sequence[Action] | None = None) -> None:
        """Take in one message of the segment; `done`: what each of its calls does, where that is known already."""
        if message.role == "user":
            self._request(own_words(message))
        elif message.role == "assistant":
            if message.content:
                self._answer(text_of(message), message.about.diffs)
            for call, one in zip(message.tool_calls, actions(message) if done is None else done, strict=True):
                self._call(call.id, one)
        elif message.role == "tool":
            path = self._reads.get(message.tool_call_id)
            if path is None:
                self._output(text_of(message)[:_OUTPUT_CHARACTERS])
            elif path and not has_ending(path):
                self._script(path, text_of(message)[:_OUTPUT_CHARACTERS])

    def verdict(self) -> Verdict:
        """Weigh what was collected."""
        opinion = self._settle_either(self._looks())
        weights, limits = self._rules.table.weights, self._rules.table.thresholds
        points: Counter[str] = Counter()
        evidence: list[Evidence] = []
        for kind, counts in self._counts.items():
            weight = weights[kind]
            for language, count in counts.items():
                worth = weight.points * min(count, weight.most)
                if worth:
                    points[language] += worth
                    evidence.append(
                        Evidence(language, kind, in_words(kind, count, self._details[kind, language]), float(worth))
                    )
        evidence.sort(key=lambda item: (-item.weight, item.language, item.kind))
        total = sum(points.values())
        shares = {language: worth / total for language, worth in points.most_common()} if total else {}
        if total < limits.none_below:
            return Verdict("none", 0.0, False, shares, evidence, opinion)
        leader, share = next(iter(shares.items()))
        if share < limits.mixed_below:
            return Verdict("mixed", round(share, 4), False, shares, evidence, opinion)
        kinds = {item.kind for item in evidence if item.language == leader}
        sure = share >= limits.sure_from and len(kinds) >= 2 and self._wrote(leader, opinion)
        return Verdict(leader, round(share, 4), sure, shares, evidence, opinion)

    def _count(self, kind: str, language: str, detail: str) -> None:
        self._counts[kind][language] += 1
        self._details[kind, language][detail] += 1

    def _request(self, words: str) -> None:
        if "```" in words:
            for tag, _ in code_blocks.of(words):
                shown = self._rules.by_fence.get(tag.lower())
                if shown:
                    self._count("fence", shown, f"```{tag}")
            words = code_blocks.left_out(words)  # what code says in passing names no language
        for language, pattern in self._rules.named:
            found = pattern.search(words)
            if found:
                self._count("named", language, found.group(0))

    def _answer(self, text: str, applied: tuple[str, ...]) -> None:
        blocks = edits_in_text(text)
        for path, code in blocks:
            self._edited(path, code)
        for path in applied:
            if all(path != block.path for block in blocks):
                self._edited(path, "")
        if "```" not in text:
            return
        for tag, code in code_blocks.of(text):
            language = self._rules.by_fence.get(tag.lower())
            if tag.lower() == "diff":
                for path in _DIFFED.findall(code):
                    self._edited(path, "")
            elif language:
                self._count("fence", language, f"```{tag}")
                self._sample(code)
            elif not blocks and code_blocks.is_script(tag, code):
                self._sample(code)

    def _call(self, call_id: str, done: Action) -> None:
        self._reads.pop(call_id, None)  # some servers count their ids from the start again
        if done.edits:
            codes = dict(done.written)  # several edits of one file are one file
            for path in done.paths:
                self._edited(path, codes.pop(path, ""))
            for path, code in codes.items():
                self._edited(path, code)
        if done.command:
            self._command(done.command)
        elif not done.edits:
            if done.kind != "other":
                self._reads[call_id] = done.paths[0] if done.paths else ""
            for path in (*done.paths, done.pattern):
                self._path("read", path)
            only = self._rules.by_fence.get(done.only.lower()) if done.kind == "search" else None
            if only:
                self._count("read", only, f"type {done.only}")

    def _edited(self, path: str, code: str) -> None:
        self._edits = True
        self._sample(code)
        if not path or has_ending(path) or language_of_path(path):
            self._path("edited", path)
            return
        name = path.rsplit("/", 1)[-1]
        language = language_of_script(code) or self._scripts.get(name, "") or look(code[:_WRITTEN_CHARACTERS]).language
        if language:
            self._scripts[name] = language
            self._count("edited", language, name)
        elif name.upper() not in self._rules.table.documents:
            self._unclear += 1

    def _script(self, path: str, text: str) -> None:
        """A file without an ending was read: its first line may say what it is."""
        start = without_line_numbers(text[: text.find("\n", 400) + 1] or text[:400])
        position = start.find("#!")
        language = language_of_script(start[position:]) if 0 <= position < 200 else ""
        if language:
            name = path.rsplit("/", 1)[-1]
            self._scripts[name] = language
            self._count("read", language, name)

    def _sample(self, code: str) -> None:
        if code and self._room > 0:
            self._written.append(code[: self._room])
            self._room -= len(code)

    def _looks(self) -> str:
        found = look("\n".join(self._written)) if self._written else None
        if found is None or not found.language:
            return ""
        self._count("looks", found.language, found.language)
        return found.language

    def _wrote(self, leader: str, opinion: str) -> bool:
        """Work that changed files is surely of a language only where that one was written, and nothing untold."""
        if not self._edits:
            return True
        edits = self._counts["edited"][leader]
        return (bool(edits) or opinion == leader) and 4 * self._unclear <= edits

    def _command(self, command: str) -> None:
        for rule in self._rules.commands:
            found = rule.find(command + " ")
            if found:
                self._count("command", rule.language, _short(command[found.start() :].lstrip(" ;&|(\n")))
        for path in _PATH.findall(command):
            self._path("read", path)
        if "*." in command:
            for ending in _GLOB.findall(command):
                self._path("read", f"*.{ending}")

    def _path(self, kind: str, path: str) -> None:
        language = language_of_path(path) if path else ""
        if language:
            name = path.rsplit("/", 1)[-1]
            self._count(kind, language, "." + name.rsplit(".", 1)[1] if "." in name else name)

    def _output(self, text: str) -> None:
        seen, most = self._counts["output"], self._rules.table.weights["output"].most
        for rule in self._rules.outputs:
            if seen[rule.language] < most:
                found = rule.find(text)
                if found:
                    self._count("output", rule.language, _short(_line_around(text, found)))

    def _settle_either(self, opinion: str) -> str:
        """Give what fits JavaScript and TypeScript to the one whose files were touched more. Returns the opinion.

        TypeScript without a type looks like JavaScript, and what looks like TypeScript is no JavaScript file.
        """
        files = {
            language: sum(self._counts[kind][language] for kind in ("edited", "read", "fence", "named"))
            for language in ("typescript", "javascript")
        }
        winner = "typescript" if files["typescript"] > files["javascript"] else "javascript"
        for kind in ("command", "output"):
            self._counts[kind][winner] += self._counts[kind].pop(EITHER, 0)
            self._details[kind, winner].update(self._details.pop((kind, EITHER), Counter()))
        if opinion == "javascript" and winner == "typescript":
            self._counts["looks"] = Counter({winner: 1})
            self._details["looks", winner] = Counter({winner: 1})
            return winner
        return opinion


def _short(text: str) -> str:
    line = text.strip().split("\n", 1)[0]
    return line if len(line) <= 48 else line[:47] + "…"


def _line_around(text: str, found: re.Match[str]) -> str:
    start = text.rfind("\n", 0, found.start() + 1) + 1
    end = text.find("\n", found.end())
    return text[start : end if end >= 0 else None]
