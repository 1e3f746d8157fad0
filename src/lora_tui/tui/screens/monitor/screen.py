"""Monitor: every run and the chosen one, live or over. Reads journals alone, so it works for any backend."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Static

from lora_tui.adapters import registry
from lora_tui.jobs import supervisor
from lora_tui.jobs.journal import Sample
from lora_tui.jobs.smoothing import Smoothed
from lora_tui.tui.keymap import bindings
from lora_tui.tui.messages import ComparisonWanted, RunChosen
from lora_tui.tui.screens.dialogs.confirm import ConfirmDialog
from lora_tui.tui.screens.monitor import readings
from lora_tui.tui.screens.monitor.run_rows import RunRows
from lora_tui.tui.screens.monitor.watch import Detail, Look, Watch
from lora_tui.tui.stage import Stage
from lora_tui.tui.widgets.braille_chart import BrailleChart, Series
from lora_tui.tui.widgets.live_lines import LiveLines
from lora_tui.tui.widgets.log_tail import LogTail
from lora_tui.tui.widgets.virtual_list import VirtualList
from lora_tui.workspace.errors import BadInput

_EMPTY = "No run yet.\nTrain one with F4; it goes on by itself and is watched here."


class MonitorScreen(Stage):
    """Owns the watch, its timer and what was done to a run. Nothing ticks while it is not shown."""

    NAME = "monitor"
    CSS_PATH = "screen.tcss"
    BINDINGS = bindings("monitor")

    class Looked(Message):
        """A look at the workspace's runs."""

        def __init__(self, look: Look | None) -> None:
            super().__init__()
            self.look = look

    class Registered(Message):
        """Adapters by the run that made them."""

        def __init__(self, adapters: dict[str, str]) -> None:
            super().__init__()
            self.adapters = adapters

    def __init__(self) -> None:
        super().__init__()
        self._watch: Watch | None = None
        self._timer: Timer | None = None
        self._looking = False
        self._again = False
        self._chosen = ""
        self._detail: Detail | None = None
        self._rows: RunRows | None = None
        self._adapters: dict[str, str] = {}
        self._asked: set[str] = set()  # finished runs whose adapter was looked for
        self._smoothed = Smoothed()

    def body(self) -> ComposeResult:
        """List and log; charts, readings, samples."""
        yield Static(_EMPTY, id="empty", markup=False)
        with Vertical(id="left"):
            yield VirtualList(id="runs")
        with Vertical(id="right"):
            yield BrailleChart(
                "loss",
                [Series("raw", tone="faint"), Series("smoothed"), Series("eval", "points", "accent")],
                number=lambda value: f"{value:.3g}",
                id="loss",
            )
            with Horizontal(id="more"):
                yield BrailleChart("learning rate", [Series("now")], number=lambda value: f"{value:.1e}", id="rate")
                yield BrailleChart("tokens/s", [Series("now")], number=lambda value: f"{value:,.0f}", id="pace")
            with Horizontal(id="readings"):
                yield LiveLines(id="left-readings")
                yield LiveLines(id="right-readings")
            yield LiveLines(id="next")
        yield LogTail(id="log")
        yield LogTail(id="samples")

    def on_mount(self) -> None:
        """Name the panels."""
        self._watch = Watch(self.shell.workspace)
        self.query_one("#log").border_title = "log"
        self.query_one("#samples").border_title = "samples"
        self._list.focus()

    @property
    def _list(self) -> VirtualList:
        return self.query_one("#runs", VirtualList)

    # ---- looking

    def on_screen_resume(self) -> None:
        """Shown: look now, and then once a second; every two over SSH."""
        if self._timer is None:
            self._timer = self.set_interval(2.0 if os.environ.get("SSH_CONNECTION") else 1.0, self._look_soon)
        self.call_after_refresh(self._look_soon)

    def on_screen_suspend(self) -> None:
        """Not shown: do nothing at all."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    def _look_soon(self) -> None:
        if self._looking:
            self._again = True
            return
        self._looking = True
        self._look(self._chosen)

    @work(thread=True, exit_on_error=False, group="look")
    def _look(self, chosen: str) -> None:
        found: Look | None = None
        try:
            if self._watch is not None:
                found = self._watch.look(chosen)
        finally:
            self.post_message(self.Looked(found))

    def on_monitor_screen_looked(self, message: Looked) -> None:
        """Show what changed."""
        self._looking = False
        look = message.look
        if look is not None and self.is_attached:
            self.set_class(not look.rows, "-nothing")
            wanted = self._chosen
            self._show_rows(look)
            if look.detail is not None and wanted in ("", look.detail.row.id):
                self._chosen = look.detail.row.id
                self._show_detail(look.detail)
            elif look.detail is not None:
                self._again = True
            self._take_in(look)
        if self._again and self._timer is not None:
            self._again = False
            self._look_soon()

    def _show_rows(self, look: Look) -> None:
        rows = RunRows(look.rows, self.shell.clock())
        changed = self._rows.changed(rows) if self._rows is not None else None
        if self._rows is not None and changed is not None:
            self._rows.rows, self._rows.now = rows.rows, rows.now
            for index in changed:
                self._list.refresh_row(index)
            return
        self._rows = rows
        chosen = look.detail.row.id if look.detail is not None else ""
        self._list.show(rows, next((index for index, row in enumerate(rows.rows) if row.id == chosen), 0))

    def _show_detail(self, detail: Detail) -> None:
        self._detail = detail
        charts = {name: self.query_one(f"#{name}", BrailleChart) for name in ("loss", "rate", "pace")}
        for chart in charts.values():
            chart.span(0, detail.row.total if detail.last is not None else 0)
        if detail.fresh:
            self._smoothed = Smoothed()
            smoothed = list(self._smoothed.extend(detail.loss))
            charts["loss"].replace({"raw": detail.loss, "smoothed": smoothed, "eval": detail.eval_loss})
            charts["rate"].replace({"now": detail.learning_rate})
            charts["pace"].replace({"now": detail.pace})
        else:
            if detail.loss or detail.eval_loss:
                charts["loss"].extend_all(
                    {"raw": detail.loss, "smoothed": self._smoothed.extend(detail.loss), "eval": detail.eval_loss}
                )
            if detail.learning_rate:
                charts["rate"].extend("now", detail.learning_rate)
            if detail.pace:
                charts["pace"].extend("now", detail.pace)
        self._show_readings()
        self.query_one("#log", LogTail).show(detail.log)
        self.query_one("#samples", LogTail).show(_sample_lines(detail.samples))

    def _show_readings(self) -> None:
        if self._detail is not None:
            detail, adapter = self._detail, self._adapters.get(self._detail.row.id, "")
            self.query_one("#left-readings", LiveLines).show(partial(readings.left, detail))
            self.query_one("#right-readings", LiveLines).show(partial(readings.right, detail))
            self.query_one("#next", LiveLines).show(partial(readings.next_step, detail, adapter))

    @on(VirtualList.Moved, "#runs")
    def _moved(self, message: VirtualList.Moved) -> None:
        if self._rows is not None and message.index < len(self._rows):
            found = self._rows.rows[message.index].id
            if found != self._chosen:
                self._chosen = found
                self._look_soon()

    def on_run_chosen(self, message: RunChosen) -> None:
        """Another screen wants this run shown."""
        self._chosen = message.run
        self._rows = None
        self._look_soon()

    # ---- adapters

    def _take_in(self, look: Look) -> None:
        """Finished training runs become adapters, once."""
        finished = {row.id for row in look.rows if row.kind == "train" and row.state == "finished"}
        if finished - self._asked:
            self._asked |= finished
            self._register()

    @work(thread=True, exit_on_error=False, group="register")
    def _register(self) -> None:
        found = {item.metadata.run: item.label for item in registry.adapters(self.shell.workspace)}
        self.post_message(self.Registered(found))

    def on_monitor_screen_registered(self, message: Registered) -> None:
        """Say what a run became."""
        self._adapters = message.adapters
        self._show_readings()

    # ---- what keys do

    def action_choose(self, rows: int) -> None:
        """The next or the previous run, round and round."""
        if self._rows is not None and len(self._rows):
            self._list.cursor = (self._list.cursor + rows) % len(self._rows)

    def action_other_panel(self) -> None:
        """At 80 columns: samples instead of the log, or the log again."""
        self.toggle_class("-samples")

    def action_stop(self) -> None:
        """Ask the run to write a checkpoint and stop."""
        supervisor.stop(self._run())
        self._look_soon()

    def action_resume(self) -> None:
        """Go on from the last checkpoint."""
        row = self._detail.row if self._detail is not None else None
        if row is not None and row.state == "finished" and row.kind != "verify":  # that asks only what it lacks
            raise BadInput("this run has finished", fix="Start a new one under Train.")
        self._act(partial(supervisor.start, self._run()))

    def action_kill(self) -> None:
        """End the run at once, after asking."""
        run = self._run()
        if self._detail is None or self._detail.row.state != "running":
            raise BadInput("this run is not working", where=run.id)
        lost = "What it did since its last checkpoint is lost; s stops it with one."

        def answered(yes: bool | None) -> None:
            if yes:
                self._act(partial(supervisor.kill, run))

        self.app.push_screen(ConfirmDialog(f"End {run.file.title} at once?", lost, "end it"), answered)

    async def action_verify(self) -> None:
        """Compare the run's adapter with its base; of a comparison, show the answers."""
        run = self._run()
        adapter = self._adapters.get(run.id, "")
        if self._detail is not None and self._detail.row.kind == "verify":
            message: Message = RunChosen(run.id)
        elif adapter:
            message = ComparisonWanted(adapter)
        else:
            raise BadInput("this run has made no adapter yet", where=run.id, fix="Wait until it has finished.")
        await self.app.switch_mode("verify")
        self.app.screen.post_message(message)

    def _run(self) -> supervisor.Run:
        if self._watch is None or not self._chosen:
            raise BadInput("there is no run yet", fix="Train one with F4.")
        return self._watch.run(self._chosen)

    @work(thread=True, exit_on_error=False, group="act")
    def _act(self, what: Callable[[], None]) -> None:
        what()
        self.app.call_from_thread(self._look_soon)


def _sample_lines(samples: tuple[Sample, ...]) -> list[str]:
    lines: list[str] = []
    for sample in samples:
        lines.append(f"step {sample.step}  {' '.join(sample.prompt.split())}")
        lines += [f"  {line}" for line in sample.answer.strip().splitlines()]
    return lines
