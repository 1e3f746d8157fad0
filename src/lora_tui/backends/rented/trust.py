"""Which host keys are trusted: known_hosts files of our own, in OpenSSH's format. The person's is never written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import asyncssh

from lora_tui.workspace import atomic


def name_of(address: str, port: int) -> str:
    """What a machine is called in known_hosts: OpenSSH writes [HOST]:PORT where the port is not 22."""
    return f"[{address}]:{port}" if port not in (0, 22) else address


def pinned(file: Path, name: str) -> list[asyncssh.SSHKey]:
    """The keys that are trusted for this name; lines that cannot be read are none."""
    found = []
    for line in file.read_text().splitlines() if file.is_file() else []:
        who, _, rest = line.strip().partition(" ")
        if who == name:
            try:
                found.append(asyncssh.import_public_key(rest))
            except asyncssh.KeyImportError:
                continue
    return found


def pin(file: Path, name: str, key: asyncssh.SSHKey) -> None:
    """Trust this key for this name from now on."""
    line = f"{name} {key.export_public_key().decode().strip()}\n"
    before = file.read_text() if file.is_file() else ""
    atomic.write_text(file, before + line)
    os.chmod(file, 0o600)


def forget(file: Path, name: str) -> None:
    """Trust no key for this name any more."""
    if file.is_file():
        lines = file.read_text().splitlines(keepends=True)
        atomic.write_text(file, "".join(line for line in lines if line.partition(" ")[0] != name))


def fingerprint(key: asyncssh.SSHKey) -> str:
    """SHA256:…, as ssh-keygen -l shows it."""
    return str(key.get_fingerprint("sha256"))


class Checking(asyncssh.SSHClient):
    """The client's side of one connection: sees the server's key, and accepts an unknown one if it is the one expected.

    expected: a fingerprint, or "*": the first key of a machine that has none pinned.
    """

    def __init__(self, known: Sequence[asyncssh.SSHKey], expected: str) -> None:
        self._known = known
        self._expected = expected
        self.seen: asyncssh.SSHKey | None = None  # a key that was not known
        self.ended = False

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Asked by asyncssh for a key that is not among the trusted ones."""
        self.seen = key
        if self._known:  # it has changed: whoever expects that forgets the old one first
            return False
        return self._expected == "*" or (bool(self._expected) and fingerprint(key) == self._expected)

    def connection_lost(self, exc: Exception | None) -> None:
        """Told by asyncssh, however it ended."""
        self.ended = True
