"""SSH servers on loopback: asyncssh's own, with a real shell and real files, and OpenSSH's where it is installed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncssh
import psutil

from lora_tui.backends.rented import there
from lora_tui.workspace import hosts
from lora_tui.workspace.config import Host
from lora_tui.workspace.layout import Workspace


def own_key(home: Path) -> Path:
    """The person's SSH key, made once."""
    path = home / ".ssh" / "id_ed25519"
    if not path.is_file():
        path.parent.mkdir(mode=0o700, exist_ok=True)
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(path)
        key.write_public_key(path.with_suffix(".pub"))
        path.chmod(0o600)
    return path


class SshServer:
    """asyncssh's server in a thread. Whoever has the key gets a shell and the files of this test's user.

    on_command: called with each command before it is run; it may take its time.
    accepts: whether a public key, as in authorized_keys, may come in.
    path: folders before $PATH of the shell.
    """

    def __init__(self, key: Path) -> None:
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        self.on_command: Callable[[str, bytes], None] = lambda command, data: None
        self.on_write: Callable[[], None] = lambda: None  # called with each block that comes by SFTP
        self.on_read: Callable[[], None] = lambda: None
        self.path = ""
        self.greeting = b""  # what the shell prints before it does anything
        self.connections = 0
        self.written = 0  # bytes that came by SFTP
        self.read = 0  # bytes that went by SFTP
        self.cut_after_read = 0  # bytes after which every connection is cut, once
        self.cuts = 0
        self.spoils = False  # whether the next big block that goes by SFTP arrives otherwise
        self.spoiled = 0
        self.port = 0
        mine = key.with_suffix(".pub").read_text().split()[1]
        self.accepts: Callable[[str], bool] = lambda line: line.split()[1] == mine
        self._open: set[asyncssh.SSHServerConnection] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._acceptor: asyncssh.SSHAcceptor | None = None

    def start(self) -> None:
        """Listen, on the same port as before."""
        if not self._thread.is_alive():
            self._thread.start()
        self._do(self._listen())

    def stop(self) -> None:
        """Take no connections any more and cut all that there are."""
        self.abort()
        self._do(self._close())

    def end(self) -> None:
        """For good."""
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def abort(self) -> int:
        """Cut every connection from this side; how many there were."""
        return int(self._do(self._abort()))

    @property
    def fingerprint(self) -> str:
        """Of the host key."""
        return str(self.host_key.get_fingerprint("sha256"))

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self) -> None:
        self._acceptor = await asyncssh.listen(
            "127.0.0.1",
            self.port,
            server_factory=lambda: _Server(self),
            server_host_keys=[self.host_key],
            process_factory=self._run,
            sftp_factory=lambda channel: _Files(channel, self),
            encoding=None,
        )
        self.port = self._acceptor.get_port()

    async def _close(self) -> None:
        if self._acceptor is not None:
            self._acceptor.close()
            await self._acceptor.wait_closed()
            self._acceptor = None

    async def _abort(self) -> int:
        found = list(self._open)
        for connection in found:
            connection.abort()
        self._open.clear()
        return len(found)

    async def _run(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        command = process.command or ""
        data = await process.stdin.read()
        await asyncio.to_thread(self.on_command, command, data)
        child = await asyncio.create_subprocess_shell(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self._environment(),
        )
        out, err = await child.communicate(data)
        process.stdout.write(self.greeting + out)
        process.stderr.write(err)
        process.exit(child.returncode or 0)

    def _environment(self) -> dict[str, str]:
        """This one's, without a person's own token and keys."""
        own = ("HF_TOKEN", "TOGETHER_API_KEY", "RUNPOD_API_KEY", "VAST_API_KEY")
        given = {name: value for name, value in os.environ.items() if name not in own}
        return given | ({"PATH": f"{self.path}:{given['PATH']}"} if self.path else {})


class _Server(asyncssh.SSHServer):
    def __init__(self, owner: SshServer) -> None:
        self._owner = owner
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._owner.connections += 1
        self._owner._open.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection is not None:
            self._owner._open.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return self._owner.accepts(key.export_public_key().decode())

    def connection_requested(self, *_: Any) -> bool:  # as a jump host
        return True


class _Files(asyncssh.SFTPServer):
    def __init__(self, channel: asyncssh.SSHServerChannel[bytes], owner: SshServer) -> None:
        super().__init__(channel)
        self._owner = owner

    def write(self, file_obj: object, offset: int, data: bytes) -> int:
        self._owner.written += len(data)
        self._owner.on_write()
        return super().write(file_obj, offset, data)  # type: ignore[return-value]

    def read(self, file_obj: object, offset: int, size: int) -> bytes:
        data: bytes = super().read(file_obj, offset, size)  # type: ignore[assignment]
        self._owner.read += len(data)
        self._owner.on_read()
        if self._owner.spoils and len(data) > 10_000:
            self._owner.spoils = False
            self._owner.spoiled += 1
            data = bytes(len(data))
        if self._owner.cut_after_read and self._owner.read > self._owner.cut_after_read:
            self._owner.cut_after_read = 0
            self._owner.cuts += 1
            for connection in list(self._owner._open):
                connection.abort()
        return data


@contextmanager
def ssh_server(home: Path, key: Path | None = None) -> Iterator[SshServer]:
    """A server that the person with this home has a key for: the usual one, or `key`."""
    server = SshServer(key or own_key(home))
    server.start()
    try:
        yield server
    finally:
        server.end()


def add_host(
    workspace: Workspace, server: SshServer, box: Path, python: str = "", name: str = "gpu", **more: Any
) -> None:
    """Let config.toml have the server as `name`, whose key is trusted already."""
    from lora_tui.backends.rented import trust

    host = Host(address="127.0.0.1", port=server.port, folder=str(box), python=python, **more)
    hosts.add(workspace, name, host)
    trust.pin(workspace.root / "known_hosts", trust.name_of("127.0.0.1", server.port), server.host_key)


def fake_python(folder: Path, more: str = "") -> Path:
    """A Python whose `-m lora_tui.worker` is `fakes/worker.py`, and that lacks nothing; in all else it is this one.

    more: further cases of its shell script.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "python3"
    here, worker = shlex.quote(sys.executable), shlex.quote(str(Path(__file__).parent / "fakes" / "worker.py"))
    path.write_text(
        f'#!/bin/sh\ncase "$*" in\n*lora_tui.worker*) exec {here} {worker} "$@";;\n'
        f"*find_spec*) echo '{there.MARK}'; exit;;\n{more}\nesac\nexec {here} \"$@\"\n"
    )
    path.chmod(0o755)
    return path


def processes_of(folder: Path) -> list[int]:
    """The processes whose command line names this folder, but for zombies."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (place / "cmdline").read_bytes():
                state = (place / "stat").read_text().rpartition(")")[2].split()[0]
                if state != "Z":
                    found.append(int(place.name))
        except OSError:
            continue
    return found


def until(holds: Callable[[], bool], seconds: float = 60.0, what: str = "it") -> None:
    """Wait until it holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"{what} has not happened within {seconds:g} s"
        time.sleep(0.05)


def openssh() -> str:
    """OpenSSH's server, "" where it is not installed."""
    return shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin") or ""


class OpenSsh:
    """OpenSSH's own server on loopback, for this user, in an environment of its own."""

    def __init__(self, folder: Path, authorized: Path, environment: dict[str, str]) -> None:
        self.port = free_port()
        self._config = folder / "sshd_config"
        host_key = folder / "host_key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(host_key)], check=True)
        self.host_key = asyncssh.read_public_key(host_key.with_suffix(".pub"))
        given = " ".join(f'"{name}={value}"' for name, value in environment.items())
        self._config.write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {host_key}\nAuthorizedKeysFile {authorized}\n"
            f"PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
            f"PermitRootLogin prohibit-password\nSubsystem sftp internal-sftp\nSetEnv {given}\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Listen."""
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        self._process = subprocess.Popen(
            [openssh(), "-D", "-e", "-f", str(self._config)], stderr=self._config.with_suffix(".log").open("ab")
        )
        until(self._answers, 10, "sshd")

    def abort(self) -> int:
        """Kill every session's process; how many there were."""
        assert self._process is not None
        sessions = psutil.Process(self._process.pid).children(recursive=True)
        found = [session for session in sessions if session.name().startswith("sshd")]
        for session in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                session.kill()
        return len(found)

    def stop(self) -> None:
        """Take no connections any more and end all that there are."""
        if self._process is not None:
            self.abort()
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def free_port() -> int:
    """A port on loopback that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
