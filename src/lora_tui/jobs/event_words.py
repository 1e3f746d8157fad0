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
        case journal.CycleStep():
            return f"{event.step}: {'; '.join(event.said)}"
        case journal.Hiring() | journal.Hired() | journal.Released() | journal.Remote() | journal.Charged():
            return _elsewhere(event)
        case journal.Answer():
            sample = f", sample {event.sample + 1}" if event.sample else ""
            return f"prompt {event.prompt + 1}, {event.side}{sample}: {event.error or _met(event.checks)}"
        case journal.Judged():
            sample = f", sample {event.sample + 1}" if event.sample else ""
            return f"prompt {event.prompt + 1}, {event.side}{sample}: with the judge {_met(event.checks)}"
        case journal.Again():
            return f"prompt {event.prompt + 1} is asked again"
        case journal.Identified():
            return _identified(event)
        case journal.Asked():
            return f"{event.side}: {event.at_once} at once"
        case journal.Fault():
            return f"{'FAULT' if event.voids else 'warning'} ({event.code}), {event.side}: {event.message}"
        case _:
            return _end(event)


def _started(event: journal.Started) -> str:
    if not event.pid and not event.host:  # another program's, which does not say
        return f"{event.total_steps} steps in all" if event.total_steps else "started"
    place = " · ".join(part for part in (event.host, event.device) if part)
    many = f", {event.world_size} processes" if event.world_size > 1 else ""
    again = f", going on from step {event.resumed_from}" if event.resumed_from else ""
    return f"started{' on ' + place if place else ''}{many}{again}"


def _identified(event: journal.Identified) -> str:
    engine = f"{event.engine} {event.version}".strip()
    unproven = "" if event.proven else ", which answers to any name"
    return f"{event.side}: {event.model} by {engine}{unproven}"


def _elsewhere(
    event: journal.Hiring | journal.Hired | journal.Released | journal.Remote | journal.Charged,
) -> str:
    match event:
        case journal.Hiring():
            return f"asks {event.provider} for a machine ({event.label})"
        case journal.Hired(provider="host"):
            return f"works on {event.id}" + (f" at ${event.price_per_hour:.2f}/h" if event.price_per_hour else "")
        case journal.Hired(price_per_hour=0.0):
            return f"works on {event.name or event.id}"
        case journal.Hired():
            most = f" for at most {event.max_hours:g} h" if event.max_hours else ""
            what = event.name or "a machine"
            return f"rented from {event.provider}: {what} at ${event.price_per_hour:.2f}/h{most} ({event.id})"
        case journal.Released(id=""):
            return f"{event.provider} gave no machine"
        case journal.Released():
            cost = f", ${event.cost:.2f}" if event.cost else ""
            if event.provider == "host":
                return f"has worked on {event.id} for {duration(event.seconds)}{cost}"
            return f"{event.id} given back to {event.provider} after {duration(event.seconds)}{cost}"
        case journal.Remote():
            return f"{event.peer}: {event.kind} {event.id}{' is gone' if event.gone else ''}"
        case journal.Charged():
            return f"{event.peer}: {event.what} ${event.amount:.2f}{' (estimated)' if event.estimated else ''}"


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
    made = [check for check in checks if not check.not_run]
    rest = f", {len(checks) - len(made)} not run" if len(made) < len(checks) else ""
    return f"{sum(check.passed for check in made)} of {len(made)} expectations met{rest}"


def _short(text: str, most: int = 40) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= most else line[: most - 1] + "…")
