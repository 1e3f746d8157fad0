"""On how many GPUs and machines a run trains: what a person asks for, checked against this machine."""

from __future__ import annotations

import os
import shlex
import socket
import sys
from pathlib import Path

import msgspec

from lora_tui.backends import hardware
from lora_tui.jobs.supervisor import Run
from lora_tui.workspace.errors import BadInput

PORT = 29500  # torchrun's own


class Processes(msgspec.Struct, frozen=True):
    """`nproc` processes on each of `nnodes` machines; `address` is the first one's, as the others reach it."""

    nproc: int = 1
    nnodes: int = 1
    address: str = ""


ONE = Processes()


def asked(nproc: int = 1, nnodes: int = 1, address: str = "") -> Processes:
    """What was asked for, with the address filled in. Raises BadInput for more than this machine has."""
    gpus = len(hardware.gpus()) if nproc > 1 else 0
    most, what = (gpus, "GPUs") if gpus else (os.cpu_count() or 1, "cores")
    if nproc > most:
        raise BadInput(
            f"{nproc} processes need {nproc} {what}, and this machine has {most}", fix=f"Give --nproc {most} or fewer."
        )
    if nnodes == 1:
        if address:
            raise BadInput("an address is of use to several machines", fix="Give --nnodes too, or no --address.")
        return Processes(nproc=nproc)
    host, _, port = (address or own_address()).partition(":")
    if not host or (port and not (port.isdecimal() and 0 < int(port) < 65536)):
        raise BadInput(f"{address!r} is no address", fix="Write HOST or HOST:PORT, as the other machines reach it.")
    return Processes(nproc=nproc, nnodes=nnodes, address=f"{host}:{port or PORT}")


def own_address() -> str:
    """The address of this machine's way out; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # RFC 5737: an address that is nobody's
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def for_other_machines(run: Run, processes: Processes) -> list[str]:
    """The command for each further machine; the run folder must be there too, at the same place."""
    job: Path = run.folder / "job.toml"
    return [
        shlex.join([Path(sys.executable).name, "-m", "lora_tui.worker", str(job), "--node-rank", str(number)])
        for number in range(1, processes.nnodes)
    ]
