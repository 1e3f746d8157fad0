"""The numbers of a run as lines: how far, how fast, how full the machine is, and what can be done now."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from lora_tui.jobs.journal import Gpu, Hardware
from lora_tui.tui.safe_text import fit, one_line
from lora_tui.tui.screens.monitor.watch import Detail
from lora_tui.tui.widgets.live_lines import Line, Piece, bar
from lora_tui.tui.wording import STATES, duration, gib

_NAME = 7
_WIDE = 100  # cells from which a line has room for more


def readings(detail: Detail, adapter: str, width: int) -> Sequence[Line]:
    """Every line for a window of `width` cells; `adapter` is what the run became, '' when nothing yet."""
    lines: list[Line] = [_steps(detail, width)]
    if detail.last is not None:
        lines.append(_pace(detail, width))
    if detail.hardware is not None:
        lines += _machine(detail.hardware, width)
    lines.append(_next(detail, adapter))
    return lines


def _steps(detail: Detail, width: int) -> Line:
    row, last = detail.row, detail.last
    total = row.total
    count = f"{row.done}/{total}" if total else ""
    stage = ""
    if last is None and detail.progress is not None and row.state == "running":
        stage = one_line(detail.progress.stage)
    if stage:
        room = max(8, width // 2 - _NAME - 2)
        share = row.done / total if total else None
        return [_name("stage"), *bar(share, room), ("  " + " ".join(part for part in (count, stage) if part), "")]
    halves = 2 if detail.epochs else 1
    room = max(6, (width - 2) // halves - _NAME - 14)
    line = [_name("step" if row.kind == "train" else "answers"), *bar(row.done / total if total else None, room)]
    line.append((" " + fit(count, 13), ""))
    if detail.epochs:
        epoch = last.epoch if last is not None else 0.0
        line += [_name("epoch"), *bar(epoch / detail.epochs, room), (f" {epoch:.2f}/{detail.epochs:g}", "")]
    return line


def _pace(detail: Detail, width: int) -> Line:
    last = detail.last
    assert last is not None
    parts = [("rate", f"{last.learning_rate:.2e}")]
    if last.tokens_per_second:
        parts.append(("tokens/s", f"{last.tokens_per_second:,.0f}"))
    if last.grad_norm is not None:
        parts.append(("grad norm", f"{last.grad_norm:.2f}"))
    if detail.eta is not None:
        parts.append(("to go", duration(detail.eta)))
    if width >= _WIDE and last.tokens:
        parts.append(("tokens", f"{last.tokens:,}"))
    if width >= _WIDE and detail.checkpoint is not None:
        parts.append(("checkpoint", str(detail.checkpoint)))
    line: list[Piece] = []
    for name, value in parts:
        shown = _name(name) if not line else (name + " ", "muted")
        line += [shown, (fit(value, max(len(value), 10 if name != "to go" else 1)) + "  ", "")]
    return line


def _machine(hardware: Hardware, width: int) -> list[Line]:
    room = max(6, (width - 2) // 2 - _NAME - 15)
    ram = hardware.ram_used / hardware.ram_total if hardware.ram_total else 0.0
    lines: list[Line] = [
        [
            _name("cpu"),
            *_level(hardware.cpu / 100, room),
            (" " + fit(f"{hardware.cpu:.0f} %", 14), ""),
            _name("ram"),
            *_level(ram, room),
            (f" {gib(hardware.ram_used)}/{gib(hardware.ram_total)} GiB", ""),
        ]
    ]
    lines += [_gpu(number, gpu, width, room) for number, gpu in enumerate(hardware.gpus)]
    return lines


def _gpu(number: int, gpu: Gpu, width: int, room: int) -> Line:
    share = gpu.memory_used / gpu.memory_total if gpu.memory_total else 0.0
    line = [_name(f"gpu {number}"), *_level(share, room)]
    rest = f" {gib(gpu.memory_used)}/{gib(gpu.memory_total)} GiB"
    load = [f"{gpu.utilization:3.0f} %", f"{gpu.temperature:.0f} °C" if gpu.temperature else ""]
    load.append(f"{gpu.power:.0f} W" if gpu.power else "")
    rest = fit(rest, 19) + "  ".join(part for part in load if part)
    line.append((rest, ""))
    left = width - sum(cell_len(text) for text, _ in line) - 2
    if left > 8:
        line.append(("  " + fit(one_line(gpu.name), left), "muted"))
    return line


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
    return [(fit(f"{mark} {state}", 12), tone), *words]


def _level(share: float, room: int) -> list[Piece]:
    return bar(share, room, "warn" if share >= 0.95 else "primary")


def _name(text: str) -> Piece:
    return (fit(text, _NAME) + " ", "muted")
