"""A journal's events as log lines; those that a chart or a gauge shows better have none."""

from __future__ import annotations

import time

from lora_tui.jobs import journal
from lora_tui.tui.wording import duration


def log_line(event: journal.AnyEvent) -> str:
    """One line with the host's time of day, or ''."""
    text = _words(event)
    return f"{time.strftime('%H:%M:%S', time.localtime(event.time))}  {text}" if text else ""


def _words(event: journal.AnyEvent) -> str:
    match event:
        case journal.Started():
            place = " · ".join(part for part in (event.host, event.device) if part)
            again = f", going on from step {event.resumed_from}" if event.resumed_from else ""
            return f"started on {place}{again}"
        case journal.Progress(done=0):
            return event.stage
        case journal.Evaluation():
            return f"step {event.step}: eval loss {event.eval_loss:.4f}"
        case journal.Checkpoint():
            return f"step {event.step}: checkpoint {event.path}"
        case journal.Warned():
            return f"warning: {event.message} {event.advice}".rstrip()
        case journal.Answer():
            met = sum(check.passed for check in event.checks)
            word = event.error or f"{met} of {len(event.checks)} expectations met"
            return f"prompt {event.prompt + 1}, {event.side}: {word}"
        case journal.Stopped():
            return f"stopped at step {event.step}"
        case journal.Finished():
            return f"finished after {duration(event.seconds)}"
        case journal.Failed():
            return " ".join(part for part in ("failed:", event.reason, event.where, event.fix) if part)
        case _:
            return ""
