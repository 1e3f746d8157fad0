"""Looking at a machine of one's own before anything is trained there: is it who it should be, and what does it have?"""

from __future__ import annotations

import asyncio

import msgspec

from lora_tui.backends.rented import trust
from lora_tui.backends.rented.asking import Facts
from lora_tui.backends.rented.bootstrap import facts_of, lacking
from lora_tui.backends.rented.connection import Connection, Dropped
from lora_tui.backends.rented.machine import KNOWN_HOSTS, target
from lora_tui.workspace import hosts
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace


class Checked(msgspec.Struct, frozen=True):
    """A machine that was reached. `lacks`: what its own `python` lacks to train; empty: nothing, or it has none."""

    name: str
    fingerprint: str
    facts: Facts
    interpreter: str
    lacks: str = ""


def check(workspace: Workspace, name: str, expected: str = "") -> Checked:
    """Connect to the host `name` and ask what it is; a key with the fingerprint `expected` is trusted from now on.

    Raises UnknownHost for a key that is not trusted yet, LoraTuiError for whatever else is in the way.
    """
    return asyncio.run(_check(workspace, name, expected))


def forget(workspace: Workspace, name: str) -> None:
    """Trust no key of the host `name` any more: the next check shows the one it has now."""
    host = hosts.find(workspace, name)
    trust.forget(workspace.root / KNOWN_HOSTS, trust.name_of(host.address, host.port))


async def _check(workspace: Workspace, name: str, expected: str) -> Checked:
    host = hosts.find(workspace, name)
    reached = target(workspace, name, host, expected)
    connection = Connection(reached)
    try:
        await connection.open()
        facts, interpreter = await facts_of(connection, host.python, host.folder)
        missing = await lacking(connection, host.python) if host.python else ""
    except Dropped:
        raise LoraTuiError("the connection was lost while it was looked at", where=name, fix="Try again.") from None
    finally:
        await connection.close()
    keys = trust.pinned(reached.known_hosts, trust.name_of(host.address, host.port))
    return Checked(
        name=name,
        fingerprint=", ".join(map(trust.fingerprint, keys)),
        facts=facts,
        interpreter=interpreter,
        lacks=missing,
    )
