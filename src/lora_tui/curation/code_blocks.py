"""Fenced code in a message's text."""

from __future__ import annotations

import re

_BLOCK = re.compile(r"^[ ]{0,3}(```+)([\w+#-]*)[^\n`]*\n(.*?)(?:^[ ]{0,3}\1`*[ \t]*$|\Z)", re.M | re.S)
_UNTAGGED_LINES = 20  # a block without a language is code when it is this long
_SHELL_TAGS = ("bash", "sh", "zsh", "shell")
_SCRIPT_LINES = 8  # a shell block this long is a script, a shorter one shows commands


def of(text: str) -> list[tuple[str, str]]:
    """The fenced blocks: the tag behind the fence ('' without one) and what stands inside; the last may be unclosed."""
    return [(tag, code) for _, tag, code in _BLOCK.findall(text)]


def left_out(text: str) -> str:
    """The text without its fenced blocks."""
    return _BLOCK.sub("", text)


def is_script(tag: str, code: str) -> bool:
    """Whether a block that no language's tag marks is code to learn from rather than commands or output."""
    lines = code.count("\n")
    if tag.lower() in _SHELL_TAGS:
        return lines >= _SCRIPT_LINES or code.startswith("#!")
    return not tag and lines >= _UNTAGGED_LINES
