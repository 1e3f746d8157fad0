"""Builds the small file system that generated code sees, gives up every privilege, sets the limits and starts the code.

It runs inside new namespaces, as a file by itself and with the standard library alone:
`unshare … python -I -S inside.py STATUS_FILE SPEC`, where SPEC is the JSON of `namespaces.Spec`. It is process 1 there:
when it ends, the kernel ends everything that the code has started.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import sys
import threading
from typing import Any

_RDONLY, _NOSUID, _NODEV, _NOEXEC, _REMOUNT, _BIND, _REC, _PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
_DETACH = 2
_MOUNT_SETATTR = 442  # the same number on every architecture
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_CAPBSET_DROP, _NO_NEW_PRIVS = 24, 38
_DEVICES = ("null", "zero", "full", "random", "urandom")

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    arguments = [source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode()]
    _checked(_libc.mount(*arguments), f"mount {target}")


def _read_only(target: str) -> None:
    """With everything mounted below it, which a remount would leave writable (Linux 5.12)."""
    attributes = (ctypes.c_uint64 * 4)(_RDONLY | _NOSUID | _NODEV, 0, 0, 0)  # MOUNT_ATTR_* have these numbers too
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    called = _libc.syscall(
        ctypes.c_long(_MOUNT_SETATTR), _AT_FDCWD, target.encode(), _AT_RECURSIVE, ctypes.byref(attributes), size
    )
    _checked(called, f"make {target} read-only")


def _show(root: str, path: str, place: str) -> None:
    """Bind a host file or folder to a place below root."""
    target = root + place
    if os.path.isdir(path):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY))
    _mount(path, target, "", _BIND | _REC)


def _build(spec: dict[str, Any]) -> None:
    root = spec["root"]
    _mount("", "/", "", _PRIVATE | _REC)
    _mount("tmpfs", root, "tmpfs", _NOSUID | _NODEV, "size=4m,mode=755")
    for name in ("work", "tmp"):  # first: programs may be installed below them
        os.mkdir(f"{root}/{name}")
        _mount("tmpfs", f"{root}/{name}", "tmpfs", _NOSUID | _NODEV, f"size={spec['folder']},mode=1777")
    for path in spec["shown"]:
        _show(root, path, path)
        _read_only(root + path)
    for path, target in spec["links"].items():
        os.symlink(target, root + path)
    for name in _DEVICES:
        _show(root, f"/dev/{name}", f"/dev/{name}")
    _show(root, spec["code"], "/code")
    _read_only(f"{root}/code")
    _show(root, spec["built"], "/built")
    if not spec["building"]:
        _read_only(f"{root}/built")
    os.mkdir(f"{root}/proc")
    _mount("proc", f"{root}/proc", "proc", _NOSUID | _NODEV | _NOEXEC)
    os.mkdir(f"{root}/old")
    os.chdir(root)
    _checked(_libc.pivot_root(b".", b"old"), "change the root")
    os.chdir("/")
    _checked(_libc.umount2(b"/old", _DETACH), "leave the old root")
    os.rmdir("/old")
    _mount("", "/", "", _REMOUNT | _BIND | _RDONLY | _NOSUID | _NODEV)


def _give_up(spec: dict[str, Any]) -> None:
    """Limits, then privileges: nothing is left that a set-user-id program could bring back."""
    for name, value in spec["limits"].items():
        resource.setrlimit(getattr(resource, name), (value, value))
    number = 0
    while _libc.prctl(_CAPBSET_DROP, number, 0, 0, 0) == 0:
        number += 1
    if spec["user"]:
        os.setgroups([])
        os.setresgid(spec["user"], spec["user"], spec["user"])
        os.setresuid(spec["user"], spec["user"], spec["user"])
    _checked(_libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0), "give up privileges")


def _end_with(status: int) -> None:
    """End, and everything with it, when whoever started this has gone and reads the status file no more."""
    watch = select.poll()
    watch.register(status, 0)
    watch.poll()
    os._exit(1)


def _main() -> int:
    if os.getpid() != 1:
        return 1  # not in a namespace of its own: what follows would change the machine
    status, spec = int(sys.argv[1]), json.loads(sys.argv[2])
    try:
        os.umask(0o022)
        _build(spec)
    except OSError as error:
        os.write(status, str(error).encode())
        return 1
    child = os.fork()
    if not child:
        try:
            os.setsid()
            os.chdir("/work")
            _give_up(spec)
            os.set_inheritable(status, False)
            os.write(status, b"began")
            os.execve(spec["argv"][0], spec["argv"], spec["environment"])
        except OSError as error:
            os.write(status, f"\n{error}".encode())
        os._exit(1)
    threading.Thread(target=_end_with, args=(status,), daemon=True).start()
    while True:
        ended, how = os.wait()
        if ended == child:
            code = os.waitstatus_to_exitcode(how)
            return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(_main())
