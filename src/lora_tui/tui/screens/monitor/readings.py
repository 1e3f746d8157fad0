"""The numbers of a run as lines: how far, how fast, how full the machine is, and what can be done now."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from lora_tui.jobs.duration import to_go
from lora_tui.jobs.journal import Gpu, Metrics
from lora_tui.tui.safe_text import fit, one_line
from lora_tui.tui.screens.monitor.points import RATE
from lora_tui.tui.screens.monitor.watch import Detail, Played
from lora_tui.tui.widgets.live_lines import Line, Piece, bar
from lora_tui.tui.wording import STATES, duration, gib

_NAME = 5
_SAID = 16
_ROOMY = 48  # cells from which a column has room for more
_BLOCKS = "▁▂▃▄▅▆▇█"
_LITTLE_DISK = 5 * 1024**3
_FORGETS = 0.1  # nats per token from which on forgetting is worth a second look
_COUNTED = ("verify", "merge", "export", "cycle")  # jobs whose units are no optimizer steps
_FULL = 0.95  # from here on, memory or CPU is crowded


def left(detail: Detail, width: int) -> Sequence[Line]:
    """Steps, learning rate, CPU and GPU memory, in a column of `width` cells."""
    row = detail.row
    total = f"/{row.total}" if row.total else ""
    share = row.done / row.total if row.total else None
    lines = [_measured("done" if row.kind in _COUNTED else "step", f"{row.done}{total}", share, width)]
    if detail.last is not None:
        pace = f"   {detail.last.tokens_per_second:,.0f} tokens/s" if detail.last.tokens_per_second else ""
        lines.append([_text("rate", f"{detail.last.learning_rate:.2e}{pace}")])
        if _has_learnt(detail, width):
            lines.append([_text("suite" if detail.passed is not None else "saved", _learnt(detail) or "nothing yet")])
    if detail.hardware is not None:
        found = detail.hardware
        lines.append(_measured("cpu", f"{found.cpu:.0f} %", found.cpu / 100, width, crowded=True))
        for number, gpu in enumerate(found.gpus):
            memory = f"{gib(gpu.memory_used)}/{gib(gpu.memory_total)} GiB"
            full = gpu.memory_used / gpu.memory_total if gpu.memory_total else 0.0
            lines.append(_measured(f"gpu {number}", memory, full, width, crowded=True))
        if found.cores:
            lines.append([_text("cores", cores(found.cores, width - _NAME - 3))])
    return lines


def right(detail: Detail, width: int) -> Sequence[Line]:
    """Beside it: epochs, time to go, forgetting, RAM, what else is known of each GPU, the disk."""
    last = detail.last
    lines: list[Line] = []
    if detail.epochs:
        epoch = last.epoch if last is not None else 0.0
        lines.append(_measured("epoch", f"{epoch:.2f}/{detail.epochs:g}", epoch / detail.epochs, width))
    else:
        lines.append([_text("epoch", f"{last.epoch:.2f}")] if last is not None and last.epoch else [])
    if last is None and detail.progress is not None and detail.row.state == "running":
        lines[0] = [_text("stage", one_line(detail.progress.stage))]
    if last is not None:
        lines.append([(" " + "   ".join(part for part in (_time(detail), _norm(last)) if part), _late(detail))])
        if _has_learnt(detail, width):
            lines.append(_forgotten(detail, width))
    if detail.hardware is not None:
        found = detail.hardware
        share = found.ram_used / found.ram_total if found.ram_total else 0.0
        said = f"{gib(found.ram_used)}/{gib(found.ram_total)} GiB"
        lines.append(_measured("ram", said, share, width, crowded=True))
        lines += [_gpu(gpu, width) for gpu in found.gpus]
        if found.disk_free:
            tone = "warn" if found.disk_free < _LITTLE_DISK else ""
            mine = f"   this run {gib(found.process_rss)} GiB" if found.process_rss else ""
            lines.append([(_text("disk", f"{gib(found.disk_free)} GiB free{mine}")[0], tone)])
    return lines


def cores(percent: Sequence[float], width: int) -> str:
    """One block a core, its height the percent; where there are more cores than cells, the mean of neighbours."""
    count = min(len(percent), max(1, width))
    shown = []
    for cell in range(count):
        part = percent[cell * len(percent) // count : (cell + 1) * len(percent) // count]
        level = sum(part) / len(part) / 100
        shown.append(_BLOCKS[min(len(_BLOCKS) - 1, max(0, round(level * (len(_BLOCKS) - 1))))])
    return "".join(shown)


def at(step: float, names: Mapping[str, float | None], width: int) -> Line:
    """The value of every curve at one step."""
    short = {RATE: "lr"}
    said = [f"{short.get(name, name)} {value:.3g}" for name, value in names.items() if value is not None]
    return [(f" step {step:.0f}   ", "accent"), (fit("   ".join(said), max(0, width - 14)).rstrip(), "")]


def _time(detail: Detail) -> str:
    if detail.quiet:
        return f"last step {duration(detail.quiet)} ago"
    return to_go(detail.to_go)


def _late(detail: Detail) -> str:
    return "warn" if detail.quiet else ""


def _norm(last: Metrics) -> str:
    return f"grad norm {last.grad_norm:.2f}" if last.grad_norm is not None else ""


def _has_learnt(detail: Detail, width: int) -> bool:
    """Whether a line is worth giving to it; a mere checkpoint is where there is room."""
    measured = detail.passed is not None or bool(detail.general) or detail.best is not None
    return measured or (width >= _ROOMY and detail.checkpoint is not None)


def _learnt(detail: Detail) -> str:
    parts = [f"{detail.passed[0]}/{detail.passed[1]} prompts pass" if detail.passed is not None else "", _saved(detail)]
    return "   ".join(part for part in parts if part)


def _saved(detail: Detail) -> str:
    if detail.best is not None:
        return f"best step {detail.best}"
    return f"checkpoint {detail.checkpoint}" if detail.checkpoint is not None else ""


def _forgotten(detail: Detail, width: int) -> Line:
    """How the loss on the general set moved since before training."""
    if len(detail.general) < 2 or detail.general[0] is detail.general[-1]:
        return [(" general loss: measured at evaluations", "muted")] if detail.general else []
    first, last = detail.general[0], detail.general[-1]
    rise = last.loss - (last.start if last.start is not None else first.loss)
    kl = f"  kl {last.kl:.3f}" if last.kl is not None else ""
    said = f" general {first.loss:.2f} → {last.loss:.2f} ({rise:+.2f}){kl}"
    return [(fit(said, width).rstrip(), "warn" if rise > _FORGETS else "")]


def _measured(name: str, said: str, share: float | None, width: int, *, crowded: bool = False) -> Line:
    """The words stand before the bar: what changes often is at the beginning, and only that is sent."""
    words = _text(name, fit(said, _SAID))
    tone = "warn" if crowded and (share or 0.0) >= _FULL else "primary"
    return [words, *bar(share, max(4, width - len(words[0]) - 2), tone)]


def _gpu(gpu: Gpu, width: int) -> Line:
    facts = [f"{gpu.utilization:.0f} %", f"{gpu.temperature:.0f} °C" if gpu.temperature else ""]
    facts += [f"{gpu.power:.0f} W" if gpu.power else "", one_line(gpu.name)]
    return [(fit(" " + "  ".join(part for part in facts if part), width).rstrip(), "")]


def _text(name: str, said: str) -> Piece:
    return (f" {fit(name, _NAME)} {said}", "")


def next_step(detail: Detail, adapter: str, width: int) -> Sequence[Line]:
    """What state it is in, what can be done now and, where there is room, what it costs elsewhere.

    adapter: what the run became, '' when nothing yet.
    """
    mark, tone = STATES[detail.row.state]
    line = [(fit(f" {mark} {detail.row.state}", 13), tone), *_next(detail, adapter)]
    spent = _spent(detail)
    if spent and sum(len(text) for text, _ in line) + len(spent) < width:
        line.append((spent, "accent"))
    return [line]


def _spent(detail: Detail) -> str:
    if detail.cost is None:
        return ""
    so_far = " so far" if detail.row.state in ("running", "paused") and not detail.expected else ""
    return f"   {'about ' if detail.expected else ''}${detail.cost:.2f}{so_far}"


def _next(detail: Detail, adapter: str) -> list[Piece]:
    match detail.row.state:
        case "replay" if detail.played is not None:
            return _playing(detail.played)
        case "running" | "paused" if detail.stopping:
            first = "" if detail.row.kind in ("merge", "export") else ": a checkpoint is written first"
            return [(f"stopping{first}", "warn")]
        case "running" if detail.pausing:
            return [("pausing: the step is made first", "warn")]
        case "running" if detail.foreign:
            return [("another program trains this; it can only be watched", "muted")]
        case "running":
            return [("goes on by itself, with or without the app", "muted")]
        case "paused":
            return [("p", "primary"), (" goes on; everything is kept in memory", ""), (", s stops it", "muted")]
        case "stopped" if detail.foreign:
            return [("nothing was written to it for a while", "muted")]
        case "stopped" if detail.row.kind == "train":
            return [("r", "primary"), (" goes on from the checkpoint", "")]
        case "stopped" if detail.row.kind in ("merge", "export"):
            return [("r", "primary"), (" begins it again; nothing half was left", "")]
        case "stopped":
            return [("r", "primary"), (" goes on where it was", "")]
        case "failed":
            return [(one_line(detail.failure), "bad")]
        case "finished" if detail.foreign:
            return [("another program trained this", "muted")]
        case "finished" if adapter:
            return [(f"{adapter} is in the registry. ", ""), ("v", "primary"), (" compares it with its base", "")]
        case "finished" if detail.of_sweep:
            return [("the best run of its sweep becomes an adapter once the sweep has finished", "muted")]
        case "finished" if detail.row.kind == "train":
            return [("taking the adapter into the registry …", "muted")]
        case "finished" if detail.row.kind == "sweep":
            return [("its runs are in the list; ", "muted"), ("lora-tui sweep show", "primary"), (" compares them", "")]
        case "finished" if detail.row.kind == "cycle":
            return [("what came of each step is in the log, and in cycle.md of its run folder", "muted")]
        case "finished" if detail.row.kind in ("merge", "export"):
            return [("what it made is under Adapters, F6, or where you had it written", "muted")]
        case "finished":
            return [("v", "primary"), (" shows the answers", "")]
        case _:
            return [("not started", "muted")]


def _playing(played: Played) -> list[Piece]:
    clock = time.strftime("%H:%M:%S", time.localtime(played.moment)) if played.moment else "…"
    how = "at its end" if played.ended else f"{played.speed}×" if played.playing else "stands still"
    keys = "p plays   ←→ step   <> speed   esc ends"
    return [(f"{clock}  {how}   ", "accent"), (keys, "muted")]
