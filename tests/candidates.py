"""Candidates as tests tell them: what matters is said, everything else is as usual."""

from __future__ import annotations

from typing import Any

import msgspec

from lora_tui.dataset.candidate import Candidate

_USUAL = Candidate(
    id="",
    key="",
    example=0,
    language="rust",
    source="opencode",
    origin="session",
    shape="agent",
    model="lab/model",
    licence="",
    session="",
    root="",
    repository="/home/user/app",
    created=1_790_000_000_000,
    cluster=0,
    characters=100,
    request="Write it",
    by_person=False,
)


def candidate(identity: str, **about: Any) -> Candidate:
    """A row that may become part of a version; a session of its own unless `root` says otherwise."""
    root = about.get("root", f"ses_{identity}")
    return msgspec.structs.replace(
        _USUAL, **{"id": identity, "key": f"key {identity}", "session": root, "root": root, **about}
    )
