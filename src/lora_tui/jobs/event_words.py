"""A journal's events in words: the lines of the monitor's log, of `runs show` and of `runs follow`."""

from __future__ import annotations

from lora_tui.jobs import forgetting, journal
from lora_tui.jobs.duration import duration

_GIB = 1024**3


def words(event: journal.AnyEvent) -> str:
    """One line for people; '' for events that a chart, a gauge or a line of its own shows better."""
    match event:
        case journal.Started():
            return _started(event)
        case journal.Progress(done=0):
            return event.stage
        case journal.Evaluation():
            return f"step {event.step}: eval loss {event.eval_loss:.4f}"
        case journal.Checkpoint():
            return f"step {event.step}: checkpoint {event.path}{', the best so far' if event.best else ''}"
        case journal.General():
            return f"step {event.step}: {forgetting.words(event)}"
        case journal.Note():
            return event.message
        case journal.Sample() if event.checks:
            return f"step {event.step}: {_met(event.checks)} by the answer to {_short(event.prompt)}"
        case journal.OutOfMemory():
            return out_of_memory(event)
        case journal.Paused():
            return f"paused after step {event.step}"
        case journal.Continued():
            return "goes on"
        case journal.Warned():
            place = f" at step {event.step}" if event.step else ""
            said = f"{event.message.rstrip('.')}. {event.advice}" if event.advice else event.message
            return f"warning{place}: {said}"
        case journal.Tried():
            return _tried(event)
        case journal.Answer():
            return f"prompt {event.prompt + 1}, {event.side}: {event.error or _met(event.checks)}"
        case _:
            return _end(event)


def _started(event: journal.Started) -> str:
    if not event.pid and not event.host:  # another program's, which does not say
        return f"{event.total_steps} steps in all" if event.total_steps else "started"
    place = " · ".join(part for part in (event.host, event.device) if part)
    many = f", {event.world_size} processes" if event.world_size > 1 else ""
    again = f", going on from step {event.resumed_from}" if event.resumed_from else ""
    return f"started{' on ' + place if place else ''}{many}{again}"


def _tried(event: journal.Tried) -> str:
    loss = "" if event.eval_loss is None else f", eval loss {event.eval_loss:.4f}"
    rate = "" if event.pass_rate is None else f", {event.pass_rate:.0%} of the suite"
    why = f": {event.reason}" if event.reason else ""
    return f"run {event.run.rpartition('-')[2]} {event.state}{loss}{rate}{why}"


def _end(event: journal.AnyEvent) -> str:
    match event:
        case journal.Stopped():
            return f"stopped at step {event.step}{': ' + event.reason if event.reason else ''}"
        case journal.Finished():
            best = f", with the weights of step {event.best_step}" if event.best_step else ""
            return f"finished{' after ' + duration(event.seconds) if event.seconds else ''}{best}"
        case journal.Failed():
            return " ".join(part for part in ("failed:", event.reason, event.where, event.fix) if part)
        case _:
            return ""


def out_of_memory(event: journal.OutOfMemory) -> str:
    """What did not fit, and how the run goes on."""
    facts = [f"planned {event.planned / _GIB:.1f}{'' if event.reached else ' GiB'}" if event.planned else ""]
    facts.append(f"reached {event.reached / _GIB:.1f} GiB" if event.reached else "")
    facts.append(f"longest row {event.longest:,} tokens" if event.longest else "")
    said = ", ".join(fact for fact in facts if fact)
    batch, gather = event.per_device_train_batch_size, event.gradient_accumulation_steps
    return (
        f"out of memory at step {event.step}: goes on from its checkpoint with batch {batch} × accumulation {gather}"
        f"{' (' + said + ')' if said else ''}"
    )


def _met(checks: tuple[journal.Check, ...]) -> str:
    return f"{sum(check.passed for check in checks)} of {len(checks)} expectations met"


def _short(text: str, most: int = 40) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= most else line[: most - 1] + "…")
