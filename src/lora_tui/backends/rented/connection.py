"""A machine reached by SSH, and connected to again when its connection has dropped.

asyncssh reads the person's own ssh config (aliases, ProxyJump, agents, keys). A stream that ends is no proof that what
it belonged to has: asyncssh shows a connection that was cut as a plain end of file.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncssh
import msgspec

from lora_tui.backends.rented import trust
from lora_tui.workspace.errors import BadInput, LoraTuiError

_CONNECT_SECONDS = 20
_LOGIN_SECONDS = 40
_CLOSE_SECONDS = 5
_ALIVE_SECONDS = 15  # between two questions whether the other side is still there; it may miss three


class Target(msgspec.Struct, frozen=True):
    """How a machine is reached. Empty or 0: as ssh's config says."""

    name: str  # as a person names it
    address: str
    known_hosts: Path
    port: int = 0
    user: str = ""
    key: Path | None = None  # a private key made for it alone; None: the person's own keys and agent
    expected: str = ""  # the fingerprint that an unknown key is accepted with; "*": whichever is the first


class Answer(msgspec.Struct, frozen=True):
    """What a command there said, and its exit code (negative: the signal it died of)."""

    code: int
    out: bytes
    err: bytes


class Dropped(Exception):
    """The connection ended before the answer was whole. What was asked for may have been done."""


class Unreachable(LoraTuiError):
    """There is no connection now; there may be one later."""


class UnknownHost(BadInput):
    """The machine's key is not trusted yet. `fingerprint` is the one it showed."""

    def __init__(self, what: str, fingerprint: str, *, where: str, fix: str) -> None:
        super().__init__(what, where=where, fix=fix)
        self.fingerprint = fingerprint


class Connection:
    """One machine. `open` connects where there is no connection; everything else raises Dropped when it is cut."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._ssh: asyncssh.SSHClientConnection | None = None
        self._client: trust.Checking | None = None
        self._sftp: asyncssh.SFTPClient | None = None
        self._opening = asyncio.Lock()

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, as far as this side knows."""
        return self._ssh is not None and self._client is not None and not self._client.ended

    async def open(self) -> asyncssh.SSHClientConnection:
        """Connect, unless there is a connection. A key that is accepted for the first time is pinned.

        Raises Unreachable, UnknownHost, or LoraTuiError with what is wrong and cannot become right by waiting.
        """
        async with self._opening:
            if self._ssh is None or not self.is_open:
                self._ssh = await self._connected()
                self._sftp = None
            return self._ssh

    async def _connected(self) -> asyncssh.SSHClientConnection:
        target = self.target
        name = trust.name_of(target.address, target.port)
        known = trust.pinned(target.known_hosts, name)
        client = trust.Checking(known, target.expected)
        options: dict[str, object] = {"port": target.port} if target.port else {}
        if target.user:
            options["username"] = target.user
        if target.key is not None:
            options |= {"client_keys": [str(target.key)], "agent_path": None, "config": None}
        try:
            ssh = await asyncssh.connect(
                target.address,
                client_factory=lambda: client,
                known_hosts=lambda host, addr, port: (known, [], []),
                connect_timeout=_CONNECT_SECONDS,
                login_timeout=_LOGIN_SECONDS,
                keepalive_interval=_ALIVE_SECONDS,
                keepalive_count_max=3,
                **options,
            )
        except (OSError, asyncssh.Error, asyncssh.KeyImportError, asyncssh.ConfigParseError, ValueError) as error:
            raise _told(error, target, client, bool(known)) from error
        self._client = client
        if client.seen is not None:
            trust.pin(target.known_hosts, name, client.seen)
        return ssh

    async def run(self, command: str, data: bytes = b"", seconds: float = 600.0) -> Answer:
        """Have a shell there do `command` with `data` as its input. Raises Dropped, also after `seconds`."""
        ssh = await self.open()
        with self.dropping():
            given: dict[str, Any] = {"input": data} if data else {"stdin": asyncssh.DEVNULL}
            async with asyncio.timeout(seconds):
                done = await ssh.run(command, encoding=None, check=False, **given)
        if done.returncode is None:
            raise Dropped
        return Answer(code=done.returncode, out=_bytes(done.stdout), err=_bytes(done.stderr))

    async def sftp(self) -> asyncssh.SFTPClient:
        """The connection's file channel. Raises Dropped, or LoraTuiError where the machine has none that works."""
        ssh = await self.open()
        with self.dropping():
            if self._sftp is None:
                try:
                    self._sftp = await ssh.start_sftp_client()
                except asyncssh.ChannelOpenError as error:
                    if not self.is_open:
                        raise
                    raise LoraTuiError(
                        "this machine takes no files over SSH: it has no SFTP",
                        where=self.target.name,
                        fix="Its sshd_config needs a line like: Subsystem sftp internal-sftp",
                    ) from error
            return self._sftp

    @contextmanager
    def dropping(self) -> Iterator[None]:
        """Turns what asyncssh raises when the connection is cut, into Dropped; the connection is given up then.

        Raises LoraTuiError for a file that the machine does not read or write.
        """
        try:
            yield
        except asyncssh.SFTPError as error:
            if isinstance(error, asyncssh.SFTPConnectionLost | asyncssh.SFTPNoConnection):
                self.abort()
                raise Dropped from error
            raise LoraTuiError(
                f"files there cannot be read or written: {error.reason or type(error).__name__}",
                where=self.target.name,
                fix="Is its disk full, or not yours to write? Does its shell print before it is asked to?",
            ) from error
        except (
            asyncssh.DisconnectError,
            asyncssh.ChannelOpenError,
            ConnectionError,
            TimeoutError,
        ) as error:
            self.abort()
            raise Dropped from error

    def abort(self) -> None:
        """Give the connection up at once."""
        if self._ssh is not None:
            self._ssh.abort()
        self._ssh = self._sftp = None

    async def close(self) -> None:
        """End the connection, if there is one."""
        if self._ssh is not None:
            self._ssh.close()
            try:
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await self._ssh.wait_closed()
            except (OSError, asyncssh.Error):
                pass
        self._ssh = self._sftp = None


def _bytes(data: object) -> bytes:
    return data if isinstance(data, bytes) else b""


def _told(error: Exception, target: Target, client: trust.Checking, known: bool) -> LoraTuiError:
    """One message a person can act on."""
    where = target.name
    if isinstance(error, asyncssh.HostKeyNotVerifiable) and client.seen is None:
        return BadInput(
            f"the key of a machine on the way to it is not known: {error.reason}",
            where=where,
            fix="Connect to the jump host once with ssh, so that your known_hosts has it.",
        )
    if known and isinstance(error, asyncssh.HostKeyNotVerifiable | asyncssh.KeyExchangeFailed):
        shown = f" It now shows {trust.fingerprint(client.seen)}." if client.seen is not None else ""
        return BadInput(
            f"its host key has changed: this may be another machine, or somebody in between.{shown}".rstrip("."),
            where=where,
            fix=f"If you know why, forget the old key: lora-tui hosts check {where} --forget; else do not connect.",
        )
    if isinstance(error, asyncssh.HostKeyNotVerifiable) and client.seen is not None:
        shown = trust.fingerprint(client.seen)
        return UnknownHost(
            f"this machine is not known yet: its {client.seen.get_algorithm()} key is {shown}",
            shown,
            where=where,
            fix=f"Compare it with the machine's own, then: lora-tui hosts check {where} --trust {shown}",
        )
    if isinstance(error, asyncssh.PermissionDenied) and target.key is not None:  # sshd may be there before the key is
        return Unreachable(f"the machine does not take the key made for it: {error.reason}", where=_place(target))
    if isinstance(error, asyncssh.PermissionDenied):
        return LoraTuiError(
            f"the machine does not let {target.user or 'you'} in: {error.reason}",
            where=where,
            fix=f"See that `ssh {target.address}` works without a password: a key in ~/.ssh or an agent.",
        )
    if isinstance(error, asyncssh.KeyImportError | asyncssh.ConfigParseError | ValueError):
        fix = "Unlock the key with ssh-add, or correct ~/.ssh/config."
        return LoraTuiError(f"your SSH key or configuration cannot be used: {error}", where=where, fix=fix)
    if isinstance(error, socket.gaierror):
        fix = "Check its address in config.toml, and your ssh config."
        return Unreachable(f"there is no machine called {target.address!r}", where=where, fix=fix)
    if isinstance(error, ConnectionRefusedError):
        fix = "Is sshd running there, and is the port right?"
        return Unreachable("the machine refuses the connection", where=_place(target), fix=fix)
    if isinstance(error, TimeoutError):
        fix = "Is it switched on, and reachable from here?"
        return Unreachable("the machine does not answer", where=_place(target), fix=fix)
    reason = error.reason if isinstance(error, asyncssh.Error) else str(error)
    return Unreachable(f"no connection: {reason or type(error).__name__}", where=_place(target))


def _place(target: Target) -> str:
    return f"{target.name}, {target.address}" + (f":{target.port}" if target.port else "")
