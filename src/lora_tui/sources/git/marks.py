"""How far a repository was mined with which settings, so that the next time only newer commits are read."""

from __future__ import annotations

import time
from collections.abc import Sequence

from lora_tui.workspace.layout import Workspace


def tips(workspace: Workspace, repository: str, settings: str) -> list[str]:
    """The commits up to which everything was mined with these settings."""
    rows = workspace.connection().execute(
        "SELECT tip FROM mined WHERE repository = ? AND settings = ?", (repository, settings)
    )
    return [tip for (tip,) in rows]


def remember(workspace: Workspace, repository: str, settings: str, tip: str) -> None:
    """Everything up to `tip` is mined. Other branches' marks stay: each spares the commits below it."""
    with workspace.transaction() as connection:
        connection.execute(
            "INSERT OR REPLACE INTO mined (repository, settings, tip, at) VALUES (?, ?, ?, ?)",
            (repository, settings, tip, int(time.time() * 1000)),
        )
        connection.execute(
            "DELETE FROM mined WHERE repository = ?1 AND settings = ?2 AND tip NOT IN "
            "(SELECT tip FROM mined WHERE repository = ?1 AND settings = ?2 ORDER BY at DESC, rowid DESC LIMIT 20)",
            (repository, settings),
        )


def fingerprints(workspace: Workspace, native_ids: Sequence[str]) -> dict[str, str]:
    """The fingerprints of those of these sessions that are stored."""
    marks = ",".join("?" * len(native_ids))
    return dict(
        workspace.connection().execute(
            f"SELECT native_id, fingerprint FROM session WHERE source = 'git' AND native_id IN ({marks})",
            tuple(native_ids),
        )
    )
