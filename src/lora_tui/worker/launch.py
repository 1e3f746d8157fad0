"""Starting the processes of one run with torchrun, and saying once why they failed.

Torchrun's agent runs inside this process: on its own it would turn SIGTERM into the end of every process, and leave
a run whose process was killed without a word in its journal.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

from lora_tui.jobs import journal
from lora_tui.jobs.job import Train
from lora_tui.jobs.supervisor import STOP
from lora_tui.worker import ranks
from lora_tui.workspace.errors import LoraTuiError

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

    Machine 0 writes the journal: one `failed` event, however many processes fall with the first. Where a step did not
    fit into the memory of one of them, all begin again at the last checkpoint with the smaller batch it names.
    """
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import get_args_parser, run

    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _asking_to_stop(path.parent))
    os.environ[ranks.LAUNCHER] = str(os.getpid())
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // job.nproc)))  # more would collapse
    log = journal.Journal(path.parent / "journal.jsonl") if node == 0 else ranks.Silent(path)
    tries = 0
    while True:
        try:
            run(get_args_parser().parse_args(command(job, path, node)))
        except ChildFailedError as error:
            word = _why(error.failures)
        except Exception as error:
            failed = journal.Failed(reason=f"the processes could not be started: {error}", fix=_MACHINES)
            word = Word(code=1, failed=failed)
        else:
            return 0
        tries += 1
        if word.smaller is None or tries > job.profile.training.oom_retries or job.nnodes > 1:
            break
        log.write(msgspec.structs.replace(word.smaller, retry=tries))
        if (path.parent / STOP).exists():
            log.write(journal.Stopped(step=max(0, word.smaller.step - 1)))
            return 0
    log.write(word.failed)
    log.close()
    if node:
        print(word.failed.reason, word.failed.fix, file=sys.stderr)
    return word.code


_MACHINES = "Every machine must be started with the same run folder, and reach the first one's address and port."


def _asking_to_stop(folder: Path) -> Any:
    def on_signal(number: int, frame: FrameType | None) -> None:
        (folder / STOP).touch()

    return on_signal


class Word(msgspec.Struct, frozen=True):
    """What a process that fails says: its exit code, the words, and the batch that may fit where memory ran out."""

    code: int
    failed: journal.Failed
    smaller: journal.OutOfMemory | None = None


class TooLarge(LoraTuiError):
    """A step did not fit, and several processes can go on with a smaller batch only if all begin again."""

    def __init__(self, smaller: journal.OutOfMemory) -> None:
        batch = smaller.per_device_train_batch_size
        super().__init__(
            f"out of memory at step {smaller.step}",
            fix=f"Go on with training.per_device_train_batch_size = {batch} or less: `lora-tui runs resume`.",
        )
        self.smaller = smaller


def _why(failures: dict[int, Any]) -> Word:
    """The word of the failure that came first; the others fell because it did.

    Who was killed could not say so, and whoever missed it has something to say: the silent one is the cause.
    """
    for rank, failure in sorted(failures.items()):
        if failure.signal_name() in _FATAL:
            failed = journal.Failed(
                reason=f"process {rank} of the run was ended by {failure.signal_name()}",
                fix="Often the machine ran out of memory. `lora-tui runs resume` goes on from the last checkpoint.",
            )
            return Word(code=1, failed=failed)
    if said := [word for failure in failures.values() if (word := _said(failure))]:
        return min(said, key=lambda word: (word.smaller is None, word.failed.time))
    rank, failure = min(failures.items())
    failed = journal.Failed(
        reason=f"process {rank} of the run ended with code {failure.exitcode}",
        fix="The whole story is in stderr.log of the run.",
    )
    return Word(code=1, failed=failed)


def _said(failure: Any) -> Word | None:
    try:
        return msgspec.json.decode(failure.error_file_data["message"], type=Word)
    except (msgspec.DecodeError, TypeError, KeyError, AttributeError):
        return None


def tell_launcher(code: int, failed: journal.Failed, smaller: journal.OutOfMemory | None = None) -> None:
    """From a process that fails: what to say for the run, in the file that torchrun keeps for it."""
    path = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if not path:
        return
    now = time.time()
    word = msgspec.json.encode(Word(code, msgspec.structs.replace(failed, time=now), smaller)).decode()
    data = {"message": word, "timestamp": int(now)}
    Path(path).write_bytes(msgspec.json.encode(data))
