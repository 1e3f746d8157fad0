"""The machines a run works on, from when they cost until they cost no more: one's own, or a rented one's lease."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncssh
import msgspec

from lora_tui.backends.rented.connection import Target
from lora_tui.backends.rented.follow import mirrored
from lora_tui.backends.renting.lease import given_back, leased
from lora_tui.backends.renting.provider import Provider, Wanted, provider
from lora_tui.jobs import journal
from lora_tui.jobs.job import Box
from lora_tui.jobs.supervisor import Run
from lora_tui.workspace import atomic, hosts
from lora_tui.workspace.config import Host
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace

KNOWN_HOSTS = "known_hosts"
_OWN = "host"  # the provider of one's own machines
_KEY = "machine_key"
_HOUR = 3600.0


class GoesOn(LoraTuiError):
    """The conductor gives up, and the run goes on there: nothing is given back."""


class Reached(msgspec.Struct, frozen=True):
    """Machines as the conductor takes them, the first of several first, and how a run is done on each.

    in_use: one's own, which works for this run already as far as the journal knows.
    deadline: epoch seconds after which they are given back; 0: never.
    connected: to be called once the first one has answered.
    gone: why a machine that does not answer will never again, in words; empty where it may.
    """

    targets: tuple[Target, ...]
    hosts: tuple[Host, ...]
    rented: bool = False
    in_use: bool = False
    deadline: float = 0.0
    connected: Callable[[], None] = lambda: None
    gone: Callable[[], str] = lambda: ""


def target(workspace: Workspace, name: str, host: Host, expected: str = "") -> Target:
    """How one's own machine is reached; its key must be among those that the workspace trusts, or be `expected`."""
    return Target(
        name=name,
        address=host.address,
        known_hosts=workspace.root / KNOWN_HOSTS,
        port=host.port,
        user=host.user,
        expected=expected,
    )


@contextmanager
def own(run: Run, log: journal.Journal, box: Box) -> Iterator[Reached]:
    """One's own machine, or several (`host` with commas): nothing is rented, but what an hour costs is written down.

    Raises BadInput for a name that config.toml does not have.
    """
    workspace = Workspace(Path(run.file.workspace))
    names = [name.strip() for name in box.host.split(",")]
    known = [hosts.find(workspace, name) for name in names]
    hired = _hired(run)

    def connected() -> None:
        nonlocal hired
        if hired is None:
            price = sum(host.price_per_hour for host in known)
            hired = journal.Hired(
                time=time.time(), provider=_OWN, id=box.host, price_per_hour=price, max_hours=box.max_hours
            )
            log.write(hired)

    try:
        yield Reached(
            targets=tuple(target(workspace, name, host) for name, host in zip(names, known, strict=True)),
            hosts=tuple(known),
            in_use=hired is not None and bool(mirrored(run)),
            deadline=(hired.time if hired else time.time()) + box.max_hours * _HOUR if box.max_hours else 0.0,
            connected=connected,
        )
    except GoesOn:
        raise
    except BaseException:
        _release(log, hired)
        raise
    else:
        _release(log, hired)


def settled(run: Run, log: journal.Journal, box: Box) -> None:
    """For a run whose work is done: no machine of it costs any more. Raises LoraTuiError where nobody can tell."""
    if box.provider == _OWN:
        _release(log, _hired(run))
    elif any(isinstance(event, journal.Hiring) for event in journal.JournalReader(run.journal).read()):
        given_back(log, box, run.id)


@contextmanager
def rented(run: Run, log: journal.Journal, box: Box, nodes: int, stop_asked: Callable[[], bool]) -> Iterator[Reached]:
    """A machine, or a cluster of `nodes`, rented for the run and given back however the block is left.

    It is reached with a key made for it alone, and trusted by the first host key it shows: its provider tells none.
    Raises StopAsked, and LoraTuiError where none is to be had.
    """
    source = provider(box.provider)
    key = _key(run.folder)
    public = key.with_suffix(".pub").read_text().strip()
    with leased(
        log, box, run.id, public, wanted=Wanted(nodes=nodes, memory_gb=box.memory_gb), stop_asked=stop_asked
    ) as machine:
        nodes_there = machine.nodes or ((machine.host, machine.port),)
        yield Reached(
            targets=tuple(
                Target(
                    name=f"{machine.provider} {machine.id}" + (f", machine {number}" if number else ""),
                    address=address,
                    known_hosts=run.folder / f"{KNOWN_HOSTS}-{machine.id}",
                    port=port,
                    user=machine.user,
                    key=key,
                    expected="*",
                )
                for number, (address, port) in enumerate(nodes_there)
            ),
            hosts=tuple(Host(address=address) for address, _ in nodes_there),
            rented=True,
            deadline=machine.until,
            gone=lambda: _why_gone(source, machine.id),
        )


def _key(folder: Path) -> Path:
    """The run's own key pair for machines that are rented for it; it opens nothing else."""
    path = folder / _KEY
    if not path.with_suffix(".pub").is_file():
        key = asyncssh.generate_private_key("ssh-ed25519", comment="lora-tui")
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(key.export_private_key())
        atomic.write_bytes(path.with_suffix(".pub"), key.export_public_key())
    return path


def forget_key(folder: Path) -> None:
    """For a run that needs no machine any more."""
    path = folder / _KEY
    path.unlink(missing_ok=True)
    path.with_suffix(".pub").unlink(missing_ok=True)


def _why_gone(source: Provider, identity: str) -> str:
    try:
        found = source.look(identity)
    except LoraTuiError:
        return ""
    if found is None:
        return "its provider does not have it any more"
    return (found.reason or f"it has {found.state}") if found.state in ("gone", "failed") else ""


def _release(log: journal.Journal, hired: journal.Hired | None) -> None:
    if hired is not None:
        seconds = time.time() - hired.time
        cost = seconds / _HOUR * hired.price_per_hour
        log.write(journal.Released(provider=_OWN, id=hired.id, seconds=seconds, cost=cost))


def _hired(run: Run) -> journal.Hired | None:
    """The machine that works for the run, as its journal has it."""
    found = None
    for event in journal.JournalReader(run.journal).read():
        if isinstance(event, journal.Hired):
            found = event
        elif isinstance(event, journal.Released):
            found = None
    return found
