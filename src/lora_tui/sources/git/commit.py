"""Commit: one mined git commit, with the files it changes in its language, before and after."""

from __future__ import annotations

from typing import Literal

import msgspec

Status = Literal["A", "M", "R"]


class File(msgspec.Struct, frozen=True, gc=False):
    """One changed file; contents as git stores them, '' on the side where there is none."""

    path: str
    old_path: str  # differs from `path` for a renamed one
    status: Status
    before: str
    after: str


class Commit(msgspec.Struct, frozen=True):
    """One commit that passed the filters. E-mail addresses are looked at by the bot rule and never kept."""

    sha: str
    author: str
    committer: str
    date: int  # of the commit, epoch milliseconds
    subject: str
    body: str
    language: str
    files: tuple[File, ...]
    needs_prompt: bool = False  # its message is no request
