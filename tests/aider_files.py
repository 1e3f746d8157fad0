"""Aider's history as tests tell it: the marks and the two spaces at the ends of lines are Aider's."""

from __future__ import annotations

HEAD = (
    "\n# aider chat started at {started}\n\n> /usr/bin/aider --model openai/coder  \n> Aider v0.86.2  \n"
    "> Model: openai/coder with diff edit format  \n> Git repo: .git with 1 files  \n"
)
EDIT = (
    "I'll change it.\n\nhello.py\n```python\n"
    '<<<<<<< SEARCH\nprint("hi")\n=======\nprint("hello")\n>>>>>>> REPLACE\n```'
)


def chat(*parts: str, started: str = "2026-11-20 12:14:12") -> str:
    """One chat of these parts."""
    return HEAD.format(started=started) + "".join(parts)


def asked(text: str) -> str:
    return "\n" + "  \n".join(f"#### {line}" for line in text.split("\n")) + "  \n"


def said(text: str) -> str:
    return f"\n{text}\n\n"


def noted(*lines: str) -> str:
    return "".join(f"> {line}  \n" for line in lines)


def done(path: str = "hello.py", commit: str = "f48cd5e") -> str:
    """What follows an answer whose edit was applied and committed."""
    return noted("Tokens: 2.5k sent, 28 received.", f"Applied edit to {path}", f"Commit {commit} feat: greet")
