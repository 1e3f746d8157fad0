"""`python -m lora_tui.backends.export.spread JOB RUN`: an exported job as the machines that run it are.

It writes RUN (a job.toml in the run's folder) from JOB with the number of machines and of GPUs in each, and where the
first one is. The journal of an earlier try stays, and the worker goes on from its checkpoints.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from lora_tui.jobs.job import JobFile, Train, load_job
from lora_tui.workspace import atomic, toml
from lora_tui.workspace.errors import BadInput, LoraTuiError

PORT = 29500  # torchrun's own


def spread(file: JobFile, nnodes: int, nproc: int, address: str) -> JobFile:
    """The job over `nnodes` machines with `nproc` processes each. Raises BadInput for a job that is no training.

    The batch of an optimizer step stays what the profile says: the worker shares it out.
    """
    if not isinstance(file.job, Train):
        raise BadInput("this job is no training", where=file.id)
    first = (address if ":" in address else f"{address}:{PORT}") if nnodes > 1 else ""
    job = msgspec.structs.replace(file.job, nnodes=nnodes, nproc=nproc, address=first)
    return msgspec.structs.replace(file, job=job)


def main(arguments: list[str]) -> int:
    """Exit code 0, or that of the error, which is printed."""
    parser = argparse.ArgumentParser(prog="python -m lora_tui.backends.export.spread")
    parser.add_argument("job", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--nnodes", type=int, default=1)
    parser.add_argument("--nproc", type=int, default=1)
    parser.add_argument("--address", default="127.0.0.1")
    given = parser.parse_args(arguments)
    try:
        made = spread(load_job(given.job), given.nnodes, given.nproc, given.address)
        given.run.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(given.run, toml.dump(made).encode())
    except LoraTuiError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
