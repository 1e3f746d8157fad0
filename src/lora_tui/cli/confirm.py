"""Asking before something large, on a terminal alone: a script said what it wants by calling the command."""

from __future__ import annotations

import sys

import click


def confirmed(question: str, yes: bool) -> bool:
    """Whether to go on: `--yes` was given, nobody is there to be asked, or the person says so."""
    if yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    return click.confirm(question, err=True)
