"""The numbers of a run as lines: how far, how fast, how full the machine is, and what can be done now."""

from __future__ import annotations

from collections.abc import Sequence

from lora_tui.jobs.journal import Gpu
from lora_tui.tui.safe_text import fit, one_line
from lora_tui.tui.screens.monitor.watch import Detail
from lora_tui.tui.widgets.live_lines import Line, Piece, bar
from lora_tui.tui.wording import STATES, duration, gib

_NAME = 5
_SAID = 16
_ROOMY = 48  # cells from which a column has room for more
_FULL = 0.95  # from here on, memory or CPU is crowded


def left(detail: Detail, width: int) -> Sequence[Line]:
    """Steps, learning rate, CPU and GPU memory, in a column of `width` cells."""
    row = detail.row
    total = f"/{row.total}" if row.total else ""
    share = row.done / row.total if row.total else None
    lines = [_measured("step" if row.kind == "train" else "done", f"{row.done}{total}", share, width)]
    if detail.last is not None:
        pace = f"   {detail.last.tokens_per_second:,.0f} tokens/s" if detail.last.tokens_per_second else ""
        lines.append([_text("rate", f"{detail.last.learning_rate:.2e}{pace}")])
    if detail.hardware is not None:
        found = detail.hardware
        lines.append(_measured("cpu", f"{found.cpu:.0f} %", found.cpu / 100, width, crowded=True))
        for number, gpu in enumerate(found.gpus):
            memory = f"{gib(gpu.memory_used)}/{gib(gpu.memory_total)} GiB"
            full = gpu.memory_used / gpu.memory_total if gpu.memory_total else 0.0
            lines.append(_measured(f"gpu {number}", memory, full, width, crowded=True))
    return lines


def right(detail: Detail, width: int) -> Sequence[Line]:
    """Beside it: epochs, time to go, RAM, what else is known of each GPU."""
    last = detail.last
    lines: list[Line] = []
    if detail.epochs:
        epoch = last.epoch if last is not None else 0.0
        lines.append(_measured("epoch", f"{epoch:.2f}/{detail.epochs:g}", epoch / detail.epochs, width))
    else:
        lines.append([])
    if last is None and detail.progress is not None and detail.row.state == "running":
        lines[0] = [_text("stage", one_line(detail.progress.stage))]
    if last is not None:
        parts = [f"{duration(detail.eta)} to go" if detail.eta is not None else ""]
        parts.append(f"grad norm {last.grad_norm:.2f}" if last.grad_norm is not None else "")
        if width >= _ROOMY and detail.checkpoint is not None:
            parts.append(f"checkpoint {detail.checkpoint}")
        lines.append([(" " + "   ".join(part for part in parts if part), "")])
    if detail.hardware is not None:
        found = detail.hardware
        share = found.ram_used / found.ram_total if found.ram_total else 0.0
        said = f"{gib(found.ram_used)}/{gib(found.ram_total)} GiB"
        lines.append(_measured("ram", said, share, width, crowded=True))
        lines += [_gpu(gpu, width) for gpu in found.gpus]
    return lines


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
    """What state it is in and what can be done now; `adapter` is what the run became, '' when nothing yet."""
    return [_next(detail, adapter)]


def _next(detail: Detail, adapter: str) -> Line:
    state = detail.row.state
    mark, tone = STATES[state]
    words: list[Piece] = []
    match state:
        case "running" if detail.stopping:
            words = [("stopping: a checkpoint is written first", "warn")]
        case "running":
            words = [("goes on by itself, with or without the app", "muted")]
        case "stopped":
            words = [("r goes on from the checkpoint", "")]
        case "failed":
            words = [(one_line(detail.failure), "bad")]
        case "finished" if adapter:
            words = [(f"{adapter} is in the registry. ", ""), ("v", "primary"), (" compares it with its base", "")]
        case "finished" if detail.row.kind == "train":
            words = [("taking the adapter into the registry …", "muted")]
        case "finished":
            words = [("v", "primary"), (" shows the answers", "")]
        case _:
            words = [("not started", "muted")]
    return [(fit(f" {mark} {state}", 13), tone), *words]
