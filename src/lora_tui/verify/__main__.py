"""`python -m lora_tui.verify job.toml`: a verification run as its own process."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from lora_tui.jobs.job import load_job
from lora_tui.verify.running.run import run
from lora_tui.workspace.errors import LoraTuiError


def main() -> int:
    """Run the job; the journal says how it ended."""
    path = Path(sys.argv[1]).absolute()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        run(path.parent, load_job(path))
    except LoraTuiError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
