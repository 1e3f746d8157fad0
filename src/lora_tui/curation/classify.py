"""Which language a segment of agent work is about, from evidence that a person can check.

Weights, caps and thresholds: rules/languages.toml. Only what the work shows counts: files edited and read, commands,
what compilers and test runners printed, fenced code, and whether the request names a language.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict

import msgspec

from lora_tui.curation.language_rules import EITHER, language_of_path, rules
from lora_tui.sources.model import Message, ToolCall, own_words, text_of

_OUTPUT_CHARACTERS = 200_000  # of one output
_COMMAND_CHARACTERS = 4_000
_PATH = re.compile(r"(?<![\w*])([\w./~@+-]*[\w-]+\.[a-z]{1,8})(?!\w)")
_FENCE = re.compile(r"^```([\w+#-]+)[ \t]*\n", re.M)
_PATCHED = re.compile(r"^\*\*\* (?:Add|Update|Delete) File: (.+)$", re.M)
_EDITS = {"edit", "write", "multiedit", "apply_patch", "patch", "notebookedit"}


class Evidence(msgspec.Struct, frozen=True):
    """One kind of evidence for one language: `detail` is what a person reads, `weight` the points it brought."""

    language: str
    kind: str  # edited, command, output, fence, named, read
    detail: str
    weight: float


class Verdict(msgspec.Struct, frozen=True):
    """The machine's label: a language, 'none' (too little evidence) or 'mixed' (no language leads clearly)."""

    language: str
    confidence: float  # share of the leading language's points, 0 when there is too little evidence
    sure: bool  # leading clearly, by two kinds of evidence or more
    shares: dict[str, float]
    evidence: list[Evidence]  # heaviest first


class _Arguments(msgspec.Struct, frozen=True):
    """The arguments of a tool call that say something about the language; the rest is skipped unread."""

    command: msgspec.Raw = msgspec.Raw(b"null")
    cmd: msgspec.Raw = msgspec.Raw(b"null")
    filePath: msgspec.Raw = msgspec.Raw(b"null")  # the names are the agents' own
    file_path: msgspec.Raw = msgspec.Raw(b"null")
    path: msgspec.Raw = msgspec.Raw(b"null")
    notebook_path: msgspec.Raw = msgspec.Raw(b"null")
    pattern: msgspec.Raw = msgspec.Raw(b"null")
    patchText: msgspec.Raw = msgspec.Raw(b"null")


_arguments = msgspec.json.Decoder(_Arguments)


class Classifier:
    """Collects evidence message by message; `verdict` weighs it. Holds counts, never the messages."""

    def __init__(self) -> None:
        self._rules = rules()
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)  # kind -> language -> pieces
        self._details: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self._reads: set[str] = set()  # calls whose output is a file's content, not what a tool said

    def add(self, message: Message) -> None:
        """Take in one message of the segment."""
        if message.role == "user":
            self._request(own_words(message))
        elif message.role == "assistant":
            if message.content:
                self._answer(text_of(message))
            for call in message.tool_calls:
                self._call(call)
        elif message.role == "tool" and message.tool_call_id not in self._reads:
            self._output(text_of(message)[:_OUTPUT_CHARACTERS])

    def verdict(self) -> Verdict:
        """Weigh what was collected."""
        self._settle_either()
        weights, limits = self._rules.table.weights, self._rules.table.thresholds
        points: Counter[str] = Counter()
        evidence: list[Evidence] = []
        for kind, counts in self._counts.items():
            weight = weights[kind]
            for language, count in counts.items():
                worth = weight.points * min(count, weight.most)
                if worth:
                    points[language] += worth
                    evidence.append(Evidence(language, kind, self._in_words(kind, language, count), float(worth)))
        evidence.sort(key=lambda item: (-item.weight, item.language, item.kind))
        total = sum(points.values())
        shares = {language: worth / total for language, worth in points.most_common()} if total else {}
        if total < limits.none_below:
            return Verdict("none", 0.0, False, shares, evidence)
        leader, share = next(iter(shares.items()))
        if share < limits.mixed_below:
            return Verdict("mixed", round(share, 4), False, shares, evidence)
        kinds = {item.kind for item in evidence if item.language == leader}
        return Verdict(leader, round(share, 4), share >= limits.sure_from and len(kinds) >= 2, shares, evidence)

    def _count(self, kind: str, language: str, detail: str) -> None:
        self._counts[kind][language] += 1
        self._details[kind, language][detail] += 1

    def _request(self, words: str) -> None:
        for language, pattern in self._rules.named:
            found = pattern.search(words)
            if found:
                self._count("named", language, found.group(0))

    def _answer(self, text: str) -> None:
        if "```" in text:
            for tag in _FENCE.findall(text):
                language = self._rules.by_fence.get(tag.lower())
                if language:
                    self._count("fence", language, f"```{tag}")

    def _call(self, call: ToolCall) -> None:
        self._reads.discard(call.id)  # some servers count their ids from the start again
        try:
            arguments = _arguments.decode(call.function.arguments)
        except msgspec.DecodeError:
            return
        name = call.function.name.lower()
        command = _text(arguments.command) or _text(arguments.cmd)
        if command:
            self._command(command[:_COMMAND_CHARACTERS])
            return
        edits = name in _EDITS
        kind = "edited" if edits else "read"
        if not edits:
            self._reads.add(call.id)
        for raw in (
            arguments.filePath,
            arguments.file_path,
            arguments.path,
            arguments.notebook_path,
            arguments.pattern,
        ):
            self._path(kind, _text(raw))
        if edits and arguments.patchText != b"null":
            for path in _PATCHED.findall(_text(arguments.patchText)):
                self._path("edited", path)

    def _command(self, command: str) -> None:
        for rule in self._rules.commands:
            found = rule.find(command + " ")
            if found:
                self._count("command", rule.language, _short(command[found.start() :].lstrip(" ;&|(\n")))
        for path in _PATH.findall(command):
            self._path("read", path)

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

    def _settle_either(self) -> None:
        """Give what fits JavaScript and TypeScript to the one whose files were touched more."""
        files = {
            language: self._counts["edited"][language] + self._counts["read"][language]
            for language in ("typescript", "javascript")
        }
        winner = "typescript" if files["typescript"] > files["javascript"] else "javascript"
        for kind in ("command", "output"):
            self._counts[kind][winner] += self._counts[kind].pop(EITHER, 0)
            self._details[kind, winner].update(self._details.pop((kind, EITHER), Counter()))

    def _in_words(self, kind: str, language: str, count: int) -> str:
        found = self._details[kind, language].most_common(2)
        if kind in ("edited", "read"):
            shown = ", ".join(detail for detail, _ in found)
        else:
            shown = ", ".join(f"{detail} ×{times}" if times > 1 else detail for detail, times in found)
        match kind:
            case "edited":
                return f"{count} edit{'s' if count > 1 else ''} of {shown}"
            case "read":
                return f"{count} path{'s' if count > 1 else ''} seen: {shown}"
            case "command":
                return f"{count} command{'s' if count > 1 else ''}: {shown}"
            case "output":
                return f"{count} output{'s' if count > 1 else ''}: {shown}"
            case "fence":
                return f"{count} code block{'s' if count > 1 else ''}: {shown}"
            case _:
                return f"the request says {shown}"


def _text(raw: msgspec.Raw) -> str:
    """A string argument's value; a list of strings (Codex' `shell`) joined; anything else is empty."""
    if raw == b"null":
        return ""
    value = msgspec.json.decode(raw)
    if isinstance(value, list):
        return " ".join(item for item in value if isinstance(item, str))
    return value if isinstance(value, str) else ""


def _short(text: str) -> str:
    line = text.strip().split("\n", 1)[0]
    return line if len(line) <= 48 else line[:47] + "…"


def _line_around(text: str, found: re.Match[str]) -> str:
    start = text.rfind("\n", 0, found.start() + 1) + 1
    end = text.find("\n", found.end())
    return text[start : end if end >= 0 else None]
