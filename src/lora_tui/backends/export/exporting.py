"""Writing the exported folder: the job's bundle, run.sh, the file of dstack or SkyPilot, and what each file hashes to.

The same job gives the same bytes. No value of a secret is in any of it: variables are named, never filled in.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
import yaml

from lora_tui.backends.export import dstack, skypilot
from lora_tui.backends.export.machines import Machines
from lora_tui.backends.export.script import run_folder, run_script
from lora_tui.backends.rented.bundle import Piece, bundle
from lora_tui.jobs.job import JobFile
from lora_tui.workspace.errors import BadInput, LoraTuiError

Tool = Literal["dstack", "skypilot"]
SUMS = "SHA256SUMS"
SCRIPT = "run.sh"


class Exported(msgspec.Struct, frozen=True):
    """What was written; `command` starts it in `folder`, `fetching` says how the adapter comes back."""

    tool: Tool
    folder: str
    file: str
    files: int
    size: int
    machines: Machines
    command: tuple[str, ...]
    fetching: str
    note: str = ""


def export(
    tool: Tool, file: JobFile, wanted: Machines, output: Path, *, env: Sequence[str] = (), hours: float = 24.0
) -> Exported:
    """Write the folder. An earlier export there is replaced, runs in it stay.

    env: names of variables that the tool passes on. hours: after which dstack ends it.
    Raises BadInput for a folder that holds something else, LoraTuiError where it cannot be written.
    """
    for variable in env:
        if not variable.isidentifier():
            name, given, _ = variable.partition("=")  # what stands behind it may be a secret
            what = f"a value is given for {name}" if given else f"{variable!r} is no name of a variable"
            raise BadInput(what, where="--env", fix="Give the name alone: its value stays out.")
    before = _earlier(output)
    bundled = bundle(file)
    job = f"{bundled.folder}/job.toml"
    pieces = {piece.path: piece for piece in bundled.pieces}
    pieces[SCRIPT] = _piece(SCRIPT, run_script(file, job, bundled.wheel))
    size = sum(piece.size for piece in pieces.values())
    note = ""
    if tool == "dstack":
        parts = sorted({SUMS, *(path.partition("/")[0] for path in pieces)})
        name, data, command = dstack.FILE, dstack.configuration(file, wanted, parts, env, hours), dstack.command()
        fetching, note = dstack.fetching(file, run_folder(file)), dstack.note(size)
    else:
        name, data, command = skypilot.FILE, skypilot.configuration(file, wanted, env), skypilot.command(file, env)
        fetching = skypilot.fetching(file, run_folder(file))
    pieces[name] = _piece(name, _yaml(data))
    try:
        for piece in pieces.values():
            _write(output / piece.path, piece)
        (output / SCRIPT).chmod(0o755)
        sums = "".join(f"{piece.sha256}  {path}\n" for path, piece in sorted(pieces.items()) if path != name)
        _write(output / SUMS, _piece(SUMS, sums))
        for path in before - pieces.keys():
            (output / path).unlink(missing_ok=True)
    except OSError as error:
        raise LoraTuiError(f"cannot be written: {error.strerror}", where=str(error.filename or output)) from error
    return Exported(
        tool=tool,
        folder=str(output),
        file=name,
        files=len(pieces) + 1,
        size=size,
        machines=wanted,
        command=tuple(command),
        fetching=fetching,
        note=note,
    )


def _earlier(output: Path) -> set[str]:
    """The files of an earlier export in that folder. Raises BadInput where the folder holds anything else."""
    sums = output / SUMS
    if sums.is_file():
        inside = (line.partition("  ")[2] for line in sums.read_text().splitlines())
        return {path for path in inside if path and ".." not in Path(path).parts and not os.path.isabs(path)}
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise BadInput("there is something else", where=str(output), fix="Give a new folder, or an empty one.")
    return set()


def _yaml(data: object) -> str:
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=120)


def _piece(path: str, text: str) -> Piece:
    data = text.encode()
    return Piece(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest(), data=data)


def _write(path: Path, piece: Piece) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if piece.file is not None:
        shutil.copyfile(piece.file, path)
    else:
        path.write_bytes(piece.data)
