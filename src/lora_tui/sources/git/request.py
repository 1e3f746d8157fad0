"""A commit's message as what a user would have asked for: by fixed rules, so that mining twice asks the same."""

from __future__ import annotations

import re

_TAGS = re.compile(r"^\s*(?:\[[^\]\n]{1,40}\]\s*)+")
_CONVENTIONAL = re.compile(r"^([a-z]{2,12})(?:\([^)\n]{1,60}\))?!?:\s+(?=\S)")
_AREA = re.compile(r"^[A-Za-z0-9_.*/,+-]{1,40}(?:\([^)\n]{1,40}\))?:\s+(?=\S)")
_NUMBER = re.compile(r"\s*(?:\((?:[\w.-]+/[\w.-]+)?(?:#|GH-|PR ?#?)\d+\)|(?<=\s)\[?#\d+\]?(?=[.\s]*$))")
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
_VERBS = {
    "fix": "Fix", "bugfix": "Fix", "hotfix": "Fix", "feat": "Add", "feature": "Add", "perf": "Speed up",
    "refactor": "Refactor", "test": "Test", "tests": "Test", "docs": "Document", "doc": "Document",
}  # fmt: skip
_STARTS = re.compile(
    r"^(?:add|allow|apply|avoid|bring|build|cache|call|catch|change|check|clean|clear|compute|convert|copy|correct|"
    r"create|cut|declare|defer|define|delete|deprecate|detect|disable|document|don.t|drop|emit|enable|encode|ensure|"
    r"escape|expand|export|expose|extend|extract|fall|find|fix|forbid|force|format|generate|give|guard|handle|hide|"
    r"ignore|implement|import|improve|include|increase|inline|introduce|keep|let|limit|link|load|lock|log|make|mark|"
    r"match|merge|migrate|move|never|normali[sz]e|only|open|optimi[sz]e|parse|pass|permit|pin|prefer|preserve|prevent|"
    r"print|propagate|protect|provide|put|raise|read|reduce|refactor|register|reject|remove|rename|render|reorder|"
    r"replace|report|require|reset|resolve|respect|restore|restrict|retry|return|reuse|rewrite|run|save|send|separate|"
    r"set|share|show|simplify|skip|sort|speed|split|start|stop|store|strip|support|swap|switch|take|test|throw|track|"
    r"trim|tweak|unify|update|upgrade|use|validate|verify|wait|warn|wrap|write)\b",
    re.IGNORECASE,
)
_BODY = 1_500  # characters of the message's body that a request keeps


def split(message: str) -> tuple[str, str]:
    """Subject (the first paragraph on one line, as git has it) and body."""
    first, _, rest = message.strip().replace("\r\n", "\n").partition("\n\n")
    return " ".join(first.split()), rest.strip()


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
    if not first.endswith((".", "!", "?", ":", "…")):
        first += "."
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
    text = _EMOJI.sub("", _TAGS.sub("", subject))
    kind = ""
    found = _CONVENTIONAL.match(text)
    if found:
        kind = found.group(1).lower()
        text = text[found.end() :]
    elif area := _AREA.match(text):
        text = text[area.end() :]
    text = _EMOJI.sub("", _TAGS.sub("", text))
    text = _CLOSES_AT_END.sub("", text)
    return kind, _NUMBER.sub("", text).strip().rstrip(".:;, ")


def _capital(text: str) -> str:
    first = text.split(" ", 1)[0]
    return text[:1].upper() + text[1:] if first.islower() and first.isalpha() else text


def _lowered(text: str) -> str:
    first = text.split(" ", 1)[0]
    return text[:1].lower() + text[1:] if first.istitle() and first.isalpha() else text
