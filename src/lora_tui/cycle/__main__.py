"""`python -m lora_tui.cycle job.toml`: the process that does a cycle, step by step.

What is done is read from its journal and from the runs it made: killed and started again, it goes on where it was.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path
from types import FrameType

from lora_tui.cycle.conduct import Conduct
from lora_tui.jobs import journal
from lora_tui.jobs.job import load_job
from lora_tui.jobs.supervisor import STOP, Run
from lora_tui.workspace.errors import LoraTuiError


def main(arguments: list[str]) -> int:
    """Exit code 0 when the cycle ended as it should, also on request and where nothing was promoted."""
    path = Path(arguments[0]).absolute()
    run = Run(folder=path.parent, file=load_job(path))
    log = journal.Journal(run.journal)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _asking_to_stop(run.folder / STOP))
    log.write(journal.Started(pid=os.getpid(), host=socket.gethostname(), total_steps=Conduct.STEPS))
    try:
        Conduct(run, log).run()
        return 0
    except LoraTuiError as error:
        log.write(journal.Failed(reason=error.what, where=error.where, fix=error.fix))
        return error.exit_code
    except Exception as error:
        log.write(journal.Failed(reason=f"this is a bug in lora-tui: {error!r}", where=str(run.folder / "stderr.log")))
        raise
    finally:
        log.close()


def _asking_to_stop(request: Path) -> signal._HANDLER:
    def on_signal(number: int, frame: FrameType | None) -> None:
        request.touch()

    return on_signal


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
