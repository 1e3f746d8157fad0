"""`python -m lora_tui.adapters.merging job.toml`: a merge as its own process."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType

from lora_tui.jobs import supervisor
from lora_tui.workspace.errors import LoraTuiError

_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def main(arguments: list[str]) -> int:
    """Run the job; the journal says how it ended."""
    folder = Path(arguments[0]).absolute().parent
    os.environ.update(dict.fromkeys(_THREADS, "1"))  # before numpy is imported: on small matrices more only wait
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _asking_to_stop(folder / supervisor.STOP))
    from lora_tui.adapters.merging.process import run

    try:
        supervisor.hold(folder)
        run(folder)
    except LoraTuiError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def _asking_to_stop(request: Path) -> signal._HANDLER:
    def on_signal(number: int, frame: FrameType | None) -> None:
        request.touch()

    return on_signal


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
