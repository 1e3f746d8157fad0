"""What the choice between rows needs to know of one. The rows themselves wait on disk: there may be very many."""

from __future__ import annotations

import msgspec

from lora_tui.dataset.model import Origin


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """A row that may become part of a version; some 400 bytes, whatever the row's size."""

    id: str  # the row's
    key: str  # content hash of the example it was made of
    example: int  # its number in the workspace
    language: str
    source: str
    origin: Origin
    shape: str
    model: str
    licence: str
    session: str
    root: str  # the outermost session: a subagent's rows belong to the one that called it
    repository: str  # directory of the session, or the repository of the commit
    created: int  # epoch milliseconds
    cluster: int  # of near-duplicates in the workspace; 0: alone
    characters: int
    request: str
    by_person: bool  # accepted by a person, not only by a rule
    success: bool = False  # the work went well, as far as signs tell
    suite: str = ""  # the suite a prompt of which it resembles
    findings: tuple[str, ...] = ()  # redaction rule of each placeholder in it
    place: int = -1  # where the row waits
