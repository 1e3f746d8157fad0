"""Monitor: every run and the chosen one, live or over. Reads journals alone, so it works for any backend."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Static

from lora_tui.adapters import registry
from lora_tui.jobs import attached, supervisor
from lora_tui.tui.keymap import bindings
from lora_tui.tui.messages import ComparisonWanted, RunChosen
from lora_tui.tui.screens.dialogs.ask import AskDialog
from lora_tui.tui.screens.dialogs.confirm import ConfirmDialog
from lora_tui.tui.screens.dialogs.page import PageDialog
from lora_tui.tui.screens.monitor import alerts, answers, asking, readings
from lora_tui.tui.screens.monitor.chart_kinds import LETTERS
from lora_tui.tui.screens.monitor.chart_panel import ChartPanel
from lora_tui.tui.screens.monitor.curves import Curves
from lora_tui.tui.screens.monitor.run_rows import RunRows
from lora_tui.tui.screens.monitor.watch import Detail, Look, Watch
from lora_tui.tui.stage import Stage
from lora_tui.tui.widgets.live_lines import LiveLines
from lora_tui.tui.widgets.log_tail import LogTail
from lora_tui.tui.widgets.virtual_list import VirtualList
from lora_tui.workspace.errors import BadInput

_EMPTY = "No run yet.\nTrain one with F4, or watch one that lies elsewhere with A; it goes on by itself."
_LIVE, _REMOTE = 1.0, 2.0  # seconds between looks: here, and over SSH
_PLAYING = 0.5  # of that, while a run is played back


class MonitorScreen(Stage):
    """Owns the watch, its timer, the curves and what was done to a run. Nothing ticks while it is not shown."""

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
        self._looked = 0.0
        self._chosen = ""
        self._marked: list[str] = []
        self._prompt = 0
        self._detail: Detail | None = None
        self._rows: RunRows | None = None
        self._curves: dict[str, Curves] = {}
        self._shown: list[str] = []  # whose curves the last look told: the chosen run's first
        self._adapters: dict[str, str] = {}
        self._asked: set[str] = set()  # finished runs whose adapter was looked for

    def body(self) -> ComposeResult:
        """List and log; charts, alerts, readings, answers."""
        yield Static(_EMPTY, id="empty", markup=False)
        with Vertical(id="left"):
            yield VirtualList(id="runs")
        with Vertical(id="right"):
            yield ChartPanel(id="charts")
            yield LiveLines(id="alerts")
            with Horizontal(id="readings"):
                yield LiveLines(id="left-readings")
                yield LiveLines(id="right-readings")
            yield LiveLines(id="next")
        yield LogTail(id="log")
        with Vertical(id="answers"):
            yield LiveLines(id="answer")

    def on_mount(self) -> None:
        """Name the panels."""
        self._watch = Watch(self.shell.workspace, self.shell.clock)
        self.query_one("#log").border_title = "log"
        self.query_one("#answers").border_title = "answers"
        self._list.focus()

    @property
    def _list(self) -> VirtualList:
        return self.query_one("#runs", VirtualList)

    @property
    def _charts(self) -> ChartPanel:
        return self.query_one(ChartPanel)

    # ---- looking

    def on_screen_resume(self) -> None:
        """Shown: look now, and then once a second; every two over SSH."""
        self._tick()
        self.call_after_refresh(self._look_soon)

    def on_screen_suspend(self) -> None:
        """Not shown: do nothing at all."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    def _tick(self) -> None:
        """Look as often as it is worth."""
        if self._timer is not None:
            self._timer.stop()
        remote = bool(os.environ.get("SSH_CONNECTION"))
        playing = self._watch is not None and self._watch.replay is not None
        seconds = _REMOTE if remote else _LIVE
        self._timer = self.set_interval(seconds * _PLAYING if playing else seconds, self._look_soon)

    def _look_soon(self) -> None:
        if self._looking:
            self._again = True
            return
        self._looking = True
        self._look(self._chosen, tuple(self._marked))

    @work(thread=True, exit_on_error=False, group="look")
    def _look(self, chosen: str, marked: tuple[str, ...]) -> None:
        found: Look | None = None
        now = time.monotonic()
        try:
            if self._watch is not None:
                if self._watch.replay is not None:
                    self._watch.replay.advance(min(2.0, now - self._looked))
                found = self._watch.look(chosen, marked)
        finally:
            self._looked = now
            self.post_message(self.Looked(found))

    def on_monitor_screen_looked(self, message: Looked) -> None:
        """Show what changed."""
        self._looking = False
        look = message.look
        if look is not None and self.is_attached:
            self.set_class(not look.rows, "-nothing")
            wanted = self._chosen
            self._take_curves(look)
            self._show_rows(look)
            if look.detail is not None and wanted in ("", look.detail.row.id):
                self._chosen = look.detail.row.id
                self._detail = look.detail
                self._show_detail()
            elif look.detail is not None:
                self._again = True
            self._take_in(look)
        if self._again and self._timer is not None:
            self._again = False
            self._look_soon()

    def _take_curves(self, look: Look) -> None:
        for track in look.tracks:
            curves = self._curves.setdefault(track.id, Curves())
            curves.title, curves.total = track.title, track.total
            curves.take(track.fresh, track.points)
        self._shown = [track.id for track in look.tracks]

    def _show_rows(self, look: Look) -> None:
        letters = dict(zip(self._marked, LETTERS, strict=False))
        rows = RunRows(look.rows, self.shell.clock(), letters)
        changed = self._rows.changed(rows) if self._rows is not None else None
        if self._rows is not None and changed is not None:
            self._rows.take(rows)
            for index in changed:
                self._list.refresh_row(index)
            return
        self._rows = rows
        chosen = self._chosen or (look.detail.row.id if look.detail is not None else "")
        self._list.show(rows, next((index for index, row in enumerate(rows.rows) if row.id == chosen), 0))

    # ---- showing

    def _show_detail(self) -> None:
        detail = self._detail
        if detail is None:
            return
        self._show_charts()
        self._show_readings()
        self.query_one("#log", LogTail).show(detail.log)
        most = 4 if self.has_class("-wide") else 2
        self.query_one("#alerts", LiveLines).show(partial(alerts.lines, detail.alerts, most))
        self._show_answers()

    def _show_charts(self) -> None:
        sweep = self._detail is not None and self._detail.row.kind == "sweep"
        laid = self._marked or (self._shown if sweep else [])
        overlaid = [self._curves[run] for run in laid if run in self._curves]
        if overlaid:
            self._charts.show(overlaid, overlaid=True)
        elif self._shown and self._shown[0] in self._curves:
            self._charts.show([self._curves[self._shown[0]]], overlaid=False)

    def _show_answers(self) -> None:
        detail = self._detail
        if detail is not None:
            step = self._charts.large.cursor if not self._marked else None
            draw = partial(answers.lines, detail.samples, detail.evaluations, self._prompt, step)
            self.query_one("#answer", LiveLines).show(draw)

    def _show_readings(self) -> None:
        if self._detail is None:
            return
        detail, adapter = self._detail, self._adapters.get(self._detail.row.id, "")
        self.query_one("#left-readings", LiveLines).show(partial(readings.left, detail))
        self.query_one("#right-readings", LiveLines).show(partial(readings.right, detail))
        cursor = self._charts.large.cursor
        line = self.query_one("#next", LiveLines)
        if cursor is not None and not self._marked and self._shown:
            lines = self._curves[self._shown[0]].lines
            said = {series.name for series in self._charts.kind.series}  # in the chart's own legend
            values = {name: points.at(cursor) for name, points in lines.items() if name not in said}
            line.show(lambda width: [readings.at(cursor, values, width)])
        else:
            line.show(partial(readings.next_step, detail, adapter))

    @on(VirtualList.Moved, "#runs")
    def _moved(self, message: VirtualList.Moved) -> None:
        if self._rows is not None and message.index < len(self._rows):
            found = self._rows.rows[message.index].id
            if found != self._chosen:
                self._chosen = found
                self._end_replay()
                self._charts.large.fit()
                self._prompt = 0
                self._look_soon()

    def on_run_chosen(self, message: RunChosen) -> None:
        """Another screen wants this run shown."""
        self._chosen = message.run
        self._end_replay()
        self._rows = None
        self._look_soon()

    # ---- adapters

    def _take_in(self, look: Look) -> None:
        """Finished training runs become adapters, once; of a sweep's runs the best, when the sweep has finished."""
        finished = {row.id for row in look.rows if row.kind in ("train", "sweep") and row.state == "finished"}
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

    # ---- what keys do: the list and the panels

    def action_choose(self, rows: int) -> None:
        """The next or the previous run, round and round."""
        if self._rows is not None and len(self._rows):
            self._list.cursor = (self._list.cursor + rows) % len(self._rows)

    def action_other_panel(self) -> None:
        """At 80 columns: answers instead of the log, or the log again."""
        self.toggle_class("-answers")

    def action_large(self) -> None:
        """The chart alone, or everything again."""
        self.toggle_class("-large")

    def action_prompt(self) -> None:
        """The answers to the next prompt."""
        self._prompt += 1
        self._show_answers()

    def action_answers(self) -> None:
        """Every answer to every prompt, on a page."""
        samples = self._detail.samples if self._detail is not None else ()
        self.app.push_screen(PageDialog("answers so far", partial(answers.page, samples)))

    def action_mark(self) -> None:
        """Lay this run over the others that are marked, or take it away."""
        if not self._chosen:
            return
        if self._chosen in self._marked:
            self._marked.remove(self._chosen)
        elif len(self._marked) == len(LETTERS):
            raise BadInput(f"{len(LETTERS)} runs are laid over each other already", fix="u takes them all away.")
        else:
            self._marked.append(self._chosen)
        self._end_replay()
        self._charts.large.fit()
        self._look_soon()

    def action_unmark(self) -> None:
        """One run at a time again."""
        self._marked.clear()
        self._charts.large.fit()
        self._look_soon()

    # ---- the charts

    def action_chart(self, by: int) -> None:
        """Make another chart the large one."""
        self._charts.next_kind(by)
        self._show_readings()

    def action_zoom(self, factor: float) -> None:
        """Show less or more of the steps."""
        self._charts.large.zoom(factor)

    def action_pan(self, windows: float) -> None:
        """Move along the steps."""
        self._charts.large.pan(windows)

    def action_log_scale(self) -> None:
        """A logarithmic axis, or a linear one again."""
        self._charts.large.toggle_log()

    def action_cursor(self, columns: int) -> None:
        """Move the cursor that reads the values; of a playback, go by steps."""
        replay = self._watch.replay if self._watch is not None else None
        if replay is not None:
            replay.step(1 if columns == 1 else -1 if columns == -1 else columns)
            self._look_soon()
            return
        self._charts.large.move_cursor(columns)
        self._show_readings()
        self._show_answers()

    def action_fit(self) -> None:
        """Everything as it was: the whole run, no cursor, no playback, all panels."""
        self._end_replay()
        self.remove_class("-large")
        self._charts.large.fit()
        self._show_readings()
        self._show_answers()
        self._look_soon()

    # ---- playing back

    def action_replay(self) -> None:
        """Play the run back from its beginning, or end that."""
        if self._watch is None:
            return
        if self._watch.replay is not None:
            self._end_replay()
        else:
            self._run()
            self._marked.clear()
            self._charts.large.fit()
            self._curves.pop(f"replay {self._chosen}", None)
            self._watch.begin_replay(self._chosen)
            self._tick()
        self._look_soon()

    def action_speed(self, by: int) -> None:
        """Play back faster or slower."""
        if self._watch is None or self._watch.replay is None:
            raise BadInput("nothing is being played back", fix="R plays a run back from its beginning.")
        self._watch.replay.faster(by)
        self._look_soon()

    def _end_replay(self) -> None:
        if self._watch is not None and self._watch.replay is not None:
            self._watch.end_replay()
            self._tick()

    # ---- what can be asked of a run

    def action_pause(self) -> None:
        """Let the run wait, or go on; of a playback, halt or play."""
        replay = self._watch.replay if self._watch is not None else None
        if replay is not None:
            replay.playing = not replay.playing
            if replay.playing and replay.ended:
                replay.move(0.0)
        else:
            asking.pause(self._run(), self._detail)
        self._look_soon()

    def action_stop(self) -> None:
        """Ask the run to write a checkpoint and stop."""
        supervisor.stop(self._run())
        self._look_soon()

    def action_checkpoint(self) -> None:
        """Ask the run for a checkpoint after its step."""
        supervisor.checkpoint(self._run())
        self.tell("A checkpoint is written after this step.")

    def action_resume(self) -> None:
        """Go on: a paused run from where it is, another from its last checkpoint."""
        self._act(asking.resume(self._run(), self._detail))

    def action_kill(self) -> None:
        """End the run at once, after asking."""
        run = self._run()
        asking.may_be_killed(run, self._detail)
        lost = "What it did since its last checkpoint is lost; s stops it with one."

        def answered(yes: bool | None) -> None:
            if yes:
                self._act(partial(supervisor.kill, run))

        self.app.push_screen(ConfirmDialog(f"End {run.file.title} at once?", lost, "end it"), answered)

    def action_attach(self) -> None:
        """Watch what lies elsewhere."""
        question = "A run folder or a workspace, also another user's;\nor any Trainer's output, or TensorBoard files."
        self.ask(AskDialog("Watch what lies elsewhere", question), self._watch_also)

    def _watch_also(self, path: str) -> None:
        found = attached.attach(self.shell.workspace, Path(path), self.shell.clock())
        if self._watch is not None:
            self._watch.find_attached()
        self._chosen = found[0].id
        self._rows = None
        self._look_soon()

    def action_forget(self) -> None:
        """No longer watch what was attached."""
        run = self._run()
        places = [place.path for place in attached.places(self.shell.workspace)]
        path = next((path for path in places if run.folder.is_relative_to(path)), None)
        if path is None:
            raise BadInput("this run is not attached: it lies in this workspace", where=run.id)
        attached.forget(self.shell.workspace, Path(path))
        if self._watch is not None:
            self._watch.find_attached()
        self._chosen = ""
        self._rows = None
        self._look_soon()

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
