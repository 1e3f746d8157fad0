"""Secrets that a session tells in one place and repeats bare in others: whoever shows a part of it must know them.

Nothing is kept but in memory: what an example holds is read again from the messages in which it was found.
"""

from __future__ import annotations

from functools import lru_cache

from lora_tui.curation.redact import Redactor
from lora_tui.curation.redact_rules import Rule
from lora_tui.curation.refresh import stored_messages
from lora_tui.workspace.layout import Workspace

_SESSIONS = 64  # whose secrets are remembered


def secrets_beside(workspace: Workspace, session: int, identity: int, off: frozenset[str]) -> dict[str, Rule]:
    """The secrets of a session's examples by value, with the rule that knew each; {} where only `identity` has any."""
    found = workspace.connection().execute(_WITH_SECRETS, (session,)).fetchall()
    if all(one == identity for one, *_ in found):
        return {}
    return dict(_secrets(workspace, session, tuple((first, last, key) for _, first, last, key in found), off))


@lru_cache(maxsize=_SESSIONS)
def _secrets(
    workspace: Workspace, session: int, places: tuple[tuple[int, int, str], ...], off: frozenset[str]
) -> dict[str, Rule]:
    """Read from these places (first and last message, and their content's key: a changed one is read anew)."""
    redactor = Redactor(off)
    for first, last, _ in places:
        for message in stored_messages(workspace.connection(), session, first, last):
            redactor.message(message)
    return redactor.repeated


_WITH_SECRETS = "SELECT id, first_seq, last_seq, key FROM example WHERE session_id = ? AND secrets > 0 ORDER BY id"
