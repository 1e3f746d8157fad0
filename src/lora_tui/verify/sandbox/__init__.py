"""Running code that a model wrote, without letting it at the machine: no network, no files, limits on everything.

Docker or podman, else bubblewrap, else Linux' own namespaces; where none works nothing is executed, and code can only
be parsed. Plain data in, a `Result` out.
"""

from __future__ import annotations

from lora_tui.verify.sandbox.limits import Limits, Result
from lora_tui.verify.sandbox.running import available, parses, run_code, run_tests, why_unavailable

__all__ = ["Limits", "Result", "available", "parses", "run_code", "run_tests", "why_unavailable"]
