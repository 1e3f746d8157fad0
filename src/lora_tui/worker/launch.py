"""Starting the processes of one run with torchrun, and saying once why they failed.

Torchrun's agent runs inside this process: on its own it would turn SIGTERM into the end of every process, and leave
a run whose process was killed without a word in its journal.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

from lora_tui.jobs import journal
from lora_tui.jobs.job import Train
from lora_tui.jobs.supervisor import STOP

_PATIENCE = 15  # seconds between asking the others to end and killing them, once one has failed
_FATAL = ("SIGKILL", "SIGSEGV", "SIGBUS", "SIGABRT", "SIGILL", "SIGFPE")


def several(job: object) -> bool:
    """Whether the job wants more than one process."""
    return isinstance(job, Train) and (job.nproc > 1 or job.nnodes > 1)


def command(job: Train, path: Path, node: int) -> list[str]:
    """Torchrun's arguments for machine number `node` of the job."""
    arguments = [f"--nproc-per-node={job.nproc}", f"--shutdown-timeout={_PATIENCE}", "--monitor-interval=0.2"]
    # SIGTERM is a request to stop here, and closing a terminal none: the agent must not end everything for them.
    arguments += ["--signals-to-handle=SIGQUIT"]
    if job.nnodes == 1:
        arguments += ["--standalone"]
    else:
        address, _, port = job.address.rpartition(":")
        arguments += [f"--nnodes={job.nnodes}", f"--node-rank={node}"]
        arguments += [f"--master-addr={address}", f"--master-port={port}"]
    return [*arguments, "-m", "lora_tui.worker", str(path)]


def launch(job: Train, path: Path, node: int = 0) -> int:
    """Run the job's processes of this machine to their end. The exit code is that of the one that failed, else 0.

    Machine 0 writes the journal: one `failed` event, however many processes fall with the first.
    """
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import get_args_parser, run

    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _asking_to_stop(path.parent))
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // job.nproc)))  # more would collapse
    try:
        run(get_args_parser().parse_args(command(job, path, node)))
    except ChildFailedError as error:
        code, failed = _why(error.failures)
    except Exception as error:
        code, failed = 1, journal.Failed(reason=f"the processes could not be started: {error}", fix=_MACHINES)
    else:
        return 0
    if node == 0:
        log = journal.Journal(path.parent / "journal.jsonl")
        log.write(failed)
        log.close()
    else:
        print(failed.reason, failed.fix)
    return code


_MACHINES = "Every machine must be started with the same run folder, and reach the first one's address and port."


def _asking_to_stop(folder: Path) -> Any:
    def on_signal(number: int, frame: FrameType | None) -> None:
        (folder / STOP).touch()

    return on_signal


def _why(failures: dict[int, Any]) -> tuple[int, journal.Failed]:
    """Exit code and words of the failure that came first; the others fell because it did.

    Who was killed could not say so, and whoever missed it has something to say: the silent one is the cause.
    """
    for rank, failure in sorted(failures.items()):
        if failure.signal_name() in _FATAL:
            return 1, journal.Failed(
                reason=f"process {rank} of the run was ended by {failure.signal_name()}",
                fix="Often the machine ran out of memory. `lora-tui runs resume` goes on from the last checkpoint.",
            )
    said = sorted(
        (failed for failure in failures.values() if (failed := _said(failure))), key=lambda item: item[1].time
    )
    if said:
        return said[0]
    rank, failure = min(failures.items())
    return 1, journal.Failed(
        reason=f"process {rank} of the run ended with code {failure.exitcode}",
        fix="The whole story is in stderr.log of the run.",
    )


class _Word(msgspec.Struct, frozen=True):
    code: int
    failed: journal.Failed


def _said(failure: Any) -> tuple[int, journal.Failed] | None:
    try:
        word = msgspec.json.decode(failure.error_file_data["message"], type=_Word)
    except (msgspec.DecodeError, TypeError, KeyError, AttributeError):
        return None
    return word.code, word.failed


def tell_launcher(code: int, failed: journal.Failed) -> None:
    """From a process that fails: what to say for the run, in the file that torchrun keeps for it."""
    path = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if not path:
        return
    now = time.time()
    word = msgspec.json.encode(_Word(code, msgspec.structs.replace(failed, time=now))).decode()
    data = {"message": word, "timestamp": int(now)}
    Path(path).write_bytes(msgspec.json.encode(data))
