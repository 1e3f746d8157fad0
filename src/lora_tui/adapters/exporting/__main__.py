"""`python -m lora_tui.adapters.exporting job.toml`: an export as its own process."""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
import time
import traceback
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

import msgspec

from lora_tui.adapters.exporting.base import Base
from lora_tui.adapters.exporting.making import Made, make_gguf, make_merged
from lora_tui.adapters.exporting.ollama_model import make_ollama
from lora_tui.adapters.exporting.work import Stopping, Work
from lora_tui.adapters.peft_folder import PeftFolder
from lora_tui.jobs import journal, supervisor
from lora_tui.jobs.job import Export, load_job
from lora_tui.jobs.supervisor import STOP
from lora_tui.workspace import atomic
from lora_tui.workspace.errors import LoraTuiError

MADE = "made.json"  # in the run folder: what came of it
_MAKERS = {"merged": make_merged, "gguf": make_gguf, "ollama": make_ollama}


def main(arguments: list[str]) -> int:
    """Exit code 0 when it is done, or was stopped; 2 for what cannot be exported, 1 for a failure."""
    path = Path(arguments[0]).absolute()
    file = load_job(path)
    assert isinstance(file.job, Export)
    supervisor.hold(path.parent)
    log = journal.Journal(path.parent / "journal.jsonl")
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _asking_to_stop(path.parent / STOP))
    log.write(journal.Started(pid=os.getpid(), host=socket.gethostname()))
    began = time.monotonic()
    try:
        made = export(Work(path.parent, log), file.job)
        made = msgspec.structs.replace(made, seconds=time.monotonic() - began)
        atomic.write_bytes(path.parent / MADE, msgspec.json.encode(made))
        log.write(journal.Note(message=made.verdict))
        log.write(journal.Finished(seconds=made.seconds, output=made.output))
    except Stopping:
        log.write(journal.Stopped())
    except LoraTuiError as error:
        log.write(journal.Failed(reason=error.what, where=error.where, fix=error.fix))
        return error.exit_code
    except Exception as error:
        traceback.print_exc()
        log.write(journal.Failed(reason=f"this is a bug in lora-tui: {error!r}", where=str(path.parent / "stderr.log")))
        return 1
    finally:
        log.close()
    return 0


def export(work: Work, job: Export) -> Made:
    """Do an export. Raises LoraTuiError, Stopping on request; then nothing of it remains."""
    try:
        with ExitStack() as stack:
            base = stack.enter_context(Base(Path(job.base)))
            adapter = stack.enter_context(PeftFolder(Path(job.adapter), job.adapter_name)) if job.adapter else None
            return _MAKERS[job.what](work, job, base, adapter)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise LoraTuiError(
            f"the export cannot go on: {error.strerror or error}",
            where=str(error.filename2 or error.filename or job.output),
            fix="Free some space or name another place." if full else "",
        ) from error


def _asking_to_stop(request: Path) -> signal._HANDLER:
    def on_signal(number: int, frame: FrameType | None) -> None:
        request.touch()

    return on_signal


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
