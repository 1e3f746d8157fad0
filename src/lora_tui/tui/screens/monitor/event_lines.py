"""A journal's events as log lines; those that a chart or a gauge shows better have none."""

from __future__ import annotations

import time

from lora_tui.jobs import journal
from lora_tui.jobs.event_words import words


def log_line(event: journal.AnyEvent) -> str:
    """One line with the host's time of day, or ''."""
    text = words(event)
    return f"{time.strftime('%H:%M:%S', time.localtime(event.time))}  {text}" if text else ""
