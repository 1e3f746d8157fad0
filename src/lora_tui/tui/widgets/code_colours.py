"""Source code in tones: keyword, string, number, name, comment. Pygments is imported when the first code is shown."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

Tones = list[tuple[str, str]]

_LINES = 400  # of one block; what comes after stays plain


@lru_cache(maxsize=32)
def _lexer(language: str) -> Any:
    from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
    from pygments.util import ClassNotFound  # type: ignore[import-untyped]

    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


def coloured(lines: list[str], language: str) -> list[Tones]:
    """Each line as (text, tone) pieces; a language that is not known stays plain."""
    plain: list[Tones] = [[(line, "")] for line in lines]
    lexer = _lexer(language) if language else None
    if lexer is None:
        return plain
    found: list[Tones] = [[]]
    for kind, text in lexer.get_tokens("\n".join(lines[:_LINES])):
        tone = _tone(str(kind))
        for number, piece in enumerate(text.split("\n")):
            if number:
                found.append([])
            if piece:
                found[-1].append((piece, tone))
    return found + plain[_LINES:]


def _tone(kind: str) -> str:
    if kind.startswith("Token.Comment"):
        return "muted"
    if kind.startswith("Token.Keyword"):
        return "code-keyword"
    if kind.startswith("Token.Literal.String"):
        return "code-string"
    if kind.startswith("Token.Literal.Number"):
        return "code-number"
    if kind.startswith(("Token.Name.Function", "Token.Name.Class", "Token.Name.Namespace", "Token.Name.Decorator")):
        return "code-name"
    if kind.startswith("Token.Generic.Deleted"):
        return "bad"
    if kind.startswith("Token.Generic.Inserted"):
        return "good"
    return ""
