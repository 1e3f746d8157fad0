"""`python -m lora_tui.adapters.serving FOLDER`: serve the set in a folder, with what happens on stdout."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from lora_tui.adapters.serving import server
from lora_tui.workspace.errors import LoraTuiError


def main(arguments: list[str]) -> int:
    """Exit code 0 when it was asked to stop, 1 for a failure, 2 for bad input."""
    try:
        server.run(Path(arguments[0]), lambda words: print(time.strftime("%H:%M:%S"), words, flush=True))
    except LoraTuiError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
