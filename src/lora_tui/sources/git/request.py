"""A commit's message as what a user would have asked for: by fixed rules, so that mining twice asks the same."""

from __future__ import annotations

import re

_TAGS = re.compile(r"^\s*(?:\[[^\]\n]{1,40}\]\s*)+")
_CONVENTIONAL = re.compile(r"^([a-z]{2,12})(?:\([^)\n]{1,60}\))?!?:\s+(?=\S)")
_AREA = re.compile(r"^[A-Za-z0-9_.*/,+-]{1,40}(?:\([^)\n]{1,40}\))?:\s+(?=\S)")
_NUMBER = re.compile(
    r"\s*(?:\[(?:[A-Za-z]+ )?#\d+\]|\((?:[\w.-]+/[\w.-]+)?(?:#|GH-|PR ?#?)\d+\)|(?<=\s)\[?#\d+\]?(?=[.\s]*$))"
)
_EMOJI = re.compile(r"^\s*(?::[a-z0-9_+-]+:\s*|[\u2600-\u27bf\U0001f300-\U0001faff\ufe0f]+\s*)+")
_CLOSES = re.compile(
    r"(?:^|(?<=[.\s]))\(?(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?|refs?|see|part of|related to)[:\s]+"
    r"(?:(?:issues?|pr|pull request)\s+)?(?:[\w.-]+/[\w.-]+)?(?:#|GH-|https?://\S+/(?:issues|pull)/)\d+"
    r"(?:(?:,|\s+and)\s+(?:[\w.-]+/[\w.-]+)?#\d+)*\)?\.?",
    re.IGNORECASE | re.MULTILINE,
)
_CLOSES_AT_END = re.compile(
    r"[\s,;(\[-]+(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?|refs?|see):?\s+(?:[\w.-]+/[\w.-]+)?(?:#|GH-)\d+[)\].]*$",
    re.IGNORECASE,
)
_TRAILER = re.compile(
    r"^\s*(?:(?:[A-Z][A-Za-z]*-)+(?:by|to|id|url|link|issue|for|from|reviews?|version|commit|with|pick(?:ed)?)"
    r"|Bug|BUG|CC|Cc|Fixes|Closes|Refs?|Link|Change-Id|GitOrigin-RevId|PiperOrigin-RevId|Reviewers|Test Plan"
    r"|Differential Revision|Pull Request|PR-URL):\s.*$|^\s*\(cherry picked from commit [0-9a-f]+\)\s*$"
    r"|^\s*git-svn-id:.*$|^\s*-{3,}\s*$",
)
_COAUTHOR = re.compile(r"^\s*co-authored-by:|^\s*signed-off-by:", re.IGNORECASE)
_CLOSES_AT_START = re.compile(
    r"^(fix(?:e[sd])?|close[sd]?|resolve[sd]?|refs?)\s+(?:issue\s+)?(?:[\w.-]+/[\w.-]+)?(?:#|GH-)\d+\s*[:.,–-]\s*(?=\S)",
    re.IGNORECASE,
)
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_TOLD = {  # what was done, or what the commit does, as what is asked for
    "added": "add", "adds": "add", "changed": "change", "changes": "change", "corrected": "correct",
    "corrects": "correct", "fixed": "fix", "fixes": "fix", "implemented": "implement", "implements": "implement",
    "improved": "improve", "improves": "improve", "made": "make", "makes": "make", "moved": "move", "moves": "move",
    "refactored": "refactor", "refactors": "refactor", "removed": "remove", "removes": "remove",
    "renamed": "rename", "renames": "rename", "replaced": "replace", "replaces": "replace",
    "updated": "update", "updates": "update",
}  # fmt: skip
_AFTER_A_NOUN = re.compile(r"(?:to|for|in|from|on|of|and|by|with)\b")  # "Changes to the parser" names things
_VERBS = {
    "fix": "Fix", "bugfix": "Fix", "hotfix": "Fix", "feat": "Add", "feature": "Add", "perf": "Speed up",
    "refactor": "Refactor", "test": "Test", "tests": "Test", "docs": "Document", "doc": "Document",
}  # fmt: skip
_STARTS = re.compile(
    r"^(?:add|allow|apply|avoid|bring|build|cache|call|catch|change|check|clarify|clean|clear|compute|convert|copy|correct|"
    r"cover|create|cut|declare|defer|define|delete|deprecate|describe|detect|disable|document|don.t|drop|emit|enable|encode|ensure|"
    r"escape|expand|explain|export|expose|extend|extract|fall|find|fix|forbid|force|format|generate|give|guard|handle|hide|"
    r"ignore|implement|import|improve|include|increase|inline|introduce|keep|let|limit|link|load|lock|log|make|mark|"
    r"match|merge|migrate|move|never|normali[sz]e|only|open|optimi[sz]e|parse|pass|permit|pin|prefer|preserve|prevent|"
    r"print|propagate|protect|provide|put|raise|read|reduce|refactor|register|reject|remove|rename|render|reorder|"
    r"replace|report|require|reset|resolve|respect|restore|restrict|retry|return|reuse|rewrite|run|save|send|separate|"
    r"set|share|show|simplify|skip|sort|speed|split|start|stop|store|strip|support|swap|switch|take|test|throw|track|"
    r"trim|tweak|unify|update|upgrade|use|validate|verify|wait|warn|wrap|write)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"[a-z]+")
_UNSPACED_END = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]$")
_BODY = 1_500  # characters of the message's body that a request keeps


def split(message: str) -> tuple[str, str]:
    """Subject (the first paragraph on one line, as git has it) and body."""
    first, _, rest = message.strip().replace("\r\n", "\n").partition("\n\n")
    return " ".join(_CONTROL.sub("", first).split()), _CONTROL.sub("", rest).strip()


def bare_subject(subject: str) -> str:
    """The subject without tags, emoji, conventional prefix, area and issue numbers."""
    _, rest = _stripped(subject)
    return rest


def request(subject: str, body: str) -> str:
    """What a user would ask to get this change: an imperative sentence, then the message's body as it explains it."""
    kind, rest = _stripped(subject)
    verb = _VERBS.get(kind, "")
    if rest and verb and not _STARTS.match(rest):
        rest = f"{verb} {_lowered(rest)}" if verb != "Fix" else f"Fix this: {rest}"
    first = _capital(rest) or subject
    if not first.endswith((".", "!", "?", ":", "…", "。", "！", "？")):
        first += "." if first.isascii() or not _UNSPACED_END.search(first) else "。"
    explained = clean_body(body)
    return f"{first}\n\n{explained}" if explained else first


def clean_body(body: str) -> str:
    """The body without trailers, issue references and squashed lists of signatures; cut at a paragraph when long."""
    kept = [line.rstrip() for line in body.split("\n") if not _TRAILER.match(line) and not _COAUTHOR.match(line)]
    text = _CLOSES.sub("", "\n".join(kept))
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in text.split("\n"))).strip()
    if len(text) > _BODY:
        cut = text.rfind("\n\n", 0, _BODY)
        text = text[: cut if cut > 0 else text.rfind(" ", 0, _BODY)].rstrip()
    return text


def _stripped(subject: str) -> tuple[str, str]:
    """The kind a conventional prefix names ('fix', 'feat', …) and what remains of the subject."""
    tags = _TAGS.match(subject)
    kind = next((word for word in _WORD.findall(tags.group().lower()) if word in _VERBS), "") if tags else ""
    text = _EMOJI.sub("", _TAGS.sub("", subject))
    found = _CONVENTIONAL.match(text) or _CLOSES_AT_START.match(text)
    if found:
        kind = found.group(1).lower()
        text = text[found.end() :]
    elif area := _AREA.match(text):
        named = area.group().rstrip(": ").lower()
        kind = named if named in _VERBS else kind
        text = text[area.end() :]
    text = _EMOJI.sub("", _TAGS.sub("", text))
    text = _CLOSES_AT_END.sub("", text)
    return _TOLD.get(kind, kind), _asked(_NUMBER.sub("", text).strip().rstrip(".:;, "))


def _asked(text: str) -> str:
    """Added a cache, Adds a cache -> Add a cache."""
    first, space, rest = text.partition(" ")
    verb = _TOLD.get(first.lower()) if space else None
    if verb is None or _AFTER_A_NOUN.match(rest):
        return text
    return f"{verb.capitalize() if first[:1].isupper() else verb} {rest}"


def _capital(text: str) -> str:
    first = text.split(" ", 1)[0]
    return text[:1].upper() + text[1:] if first.islower() and first.isalpha() else text


def _lowered(text: str) -> str:
    first = text.split(" ", 1)[0]
    return text[:1].lower() + text[1:] if first.istitle() and first.isalpha() else text
