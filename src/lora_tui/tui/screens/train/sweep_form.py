"""A sweep from the app: what to try is typed, its runs are shown as they would be, and then they are started."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Sequence
from typing import get_args

from textual import work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from lora_tui.backends import sweep
from lora_tui.backends.counting import Cancelled
from lora_tui.backends.sweep import By, Prepared, Settings
from lora_tui.dataset.model import Dataset
from lora_tui.jobs.job import Prompt
from lora_tui.tui.safe_text import fit, plain
from lora_tui.tui.screens.dialogs.dialog import Dialog
from lora_tui.tui.wording import many
from lora_tui.verify.suites.suite import sample_prompts
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile, sanity
from lora_tui.workspace.profiles.settings import with_settings

_ABOUT = "Values to try for each key. Every combination is a run with a fresh\nadapter, one after another."
_EXAMPLE = "lr=1e-4,2e-4 r=8,16"
_FEWEST = 3  # runs that are listed, however low the terminal is
_AROUND = 16  # lines of the dialog and its edge that are not the list's
_SETTINGS = 44  # cells


class SweepForm(Dialog[str]):
    """Results in the id of the sweep that was started, None when closed."""

    DEFAULT_CSS = """
    SweepForm {
        .dialog { width: 78; height: auto; }
        .field { height: 1; }
        .label { width: 9; color: $muted; text-style: $muted-style; }
        Input { width: 1fr; border: none; height: 1; padding: 0 1; background: $panel; }
        #about { color: $muted; text-style: $muted-style; margin-bottom: 1; }
        #said { margin-top: 1; height: auto; }
        #said.-wrong { color: $error; }
    }
    """

    class Counting(Message):
        """The rows have to be counted for other settings first."""

        def __init__(self, line: str) -> None:
            super().__init__()
            self.line = line

    class Ready(Message):
        """The runs that `typed` means, or why there are none; neither: nobody wanted them any more."""

        def __init__(self, typed: tuple[str, str], runs: list[Prepared], error: LoraTuiError | None) -> None:
            super().__init__()
            self.typed, self.runs, self.error = typed, runs, error

    class Started(Message):
        """The sweep works."""

        def __init__(self, run: str) -> None:
            super().__init__()
            self.run = run

    def __init__(self, workspace: Workspace, profile: Profile, dataset: Dataset) -> None:
        super().__init__()
        self._workspace, self._profile, self._dataset = workspace, profile, dataset
        self._unwanted = threading.Event()  # what is being prepared
        self._preparing = False
        self._starting = False
        self._ready: tuple[tuple[str, str], list[Prepared]] | None = None

    def compose(self) -> ComposeResult:
        """What is typed, and what that means."""
        grid = Input(placeholder=_EXAMPLE, compact=True, id="grid")
        by = Input("eval_loss", compact=True, id="by")
        with Vertical(classes="dialog") as box:
            yield Static(_ABOUT, id="about", markup=False)
            for name, field in (("try", grid), ("best by", by)):
                field.cursor_blink = False
                with Horizontal(classes="field"):
                    yield Static(name, classes="label", markup=False)
                    yield field
            yield Static(id="said", markup=False)
        box.border_title = f"Sweep of {self._profile.name} on {self._dataset.label}"
        box.border_subtitle = "enter look, then start · tab next · esc close"

    def on_mount(self) -> None:
        """Begin with the grid."""
        self.query_one("#grid", Input).focus()

    def on_unmount(self) -> None:
        """End what works for this dialog."""
        self._unwanted.set()

    def text(self) -> str:
        """What is typed."""
        return self._typed()[0]

    def on_input_changed(self, message: Input.Changed) -> None:
        """Say at once what is typed wrong, and how many runs it is."""
        self._unwanted.set()
        self._ready = None
        if not self._typed()[0]:
            self._say(f"Short names: {', '.join(sweep.SHORT)}; any other key in full, as in lora.use_dora=true,false.")
            return
        try:
            found, _ = self._wanted()
        except LoraTuiError as error:
            self._wrong(error)
        else:
            self._say(f"{many(len(found), 'run')}: enter shows what they would do.")

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Show what would be done; once that is shown, start it."""
        if self._preparing or self._starting:
            return
        typed = self._typed()
        if self._ready is not None and self._ready[0] == typed:
            self._starting = True
            self._say("starting …")
            self._start(self._ready[1], self._wanted()[1])
            return
        try:
            settings, by = self._wanted()
        except LoraTuiError as error:
            self._wrong(error)
            return
        self._preparing = True
        self._unwanted = threading.Event()
        self._say("looking what they would do …")
        self._prepare(typed, settings, by, self._unwanted)

    @work(thread=True, exit_on_error=False, group="prepare")
    def _prepare(self, typed: tuple[str, str], settings: Sequence[Settings], by: By, unwanted: threading.Event) -> None:
        runs: list[Prepared] = []
        problem: LoraTuiError | None = LoraTuiError("it could not be found out what they would do")

        def tell(stage: str, done: int, total: int) -> None:
            self.post_message(self.Counting(f"{stage}: {done:,} of {total:,}" if total else stage))

        def prompts(profile: Profile) -> tuple[Prompt, ...]:
            return sample_prompts(self._workspace, profile, every=by == "pass_rate")

        try:
            runs = sweep.prepared(
                self._workspace,
                self._recipe,
                self._dataset,
                settings,
                by=by,
                prompts=prompts,
                progress=tell,
                cancelled=unwanted.is_set,
            )
            problem = None
        except Cancelled:
            problem = None
        except LoraTuiError as error:
            problem = error
        finally:
            self.post_message(self.Ready(typed, runs, problem))

    def on_sweep_form_counting(self, message: Counting) -> None:
        """Say what takes so long."""
        if self._preparing and not self._unwanted.is_set():
            self._say(f"{message.line} …")

    def on_sweep_form_ready(self, message: Ready) -> None:
        """Show them, if they are still what is typed."""
        self._preparing = False
        if message.typed != self._typed():
            return
        if message.error is not None:
            self._wrong(message.error)
        elif message.runs:
            self._ready = (message.typed, message.runs)
            self._say(self._planned(message.runs))

    @work(thread=True, exit_on_error=False, group="start")
    def _start(self, runs: list[Prepared], by: By) -> None:
        self.post_message(self.Started(sweep.start(self._workspace, runs, by).id))

    def on_sweep_form_started(self, message: Started) -> None:
        """Done."""
        self.dismiss(message.run)

    def _planned(self, runs: Sequence[Prepared]) -> str:
        """The runs as lines, as many as there is room for."""
        room = max(_FEWEST, self.size.height - _AROUND)
        shown = runs if len(runs) <= room else runs[: room - 1]
        lines = [
            f"{number:>2}  {fit(sweep.short(one.settings), _SETTINGS)} {one.steps:>7,} steps"
            for number, one in enumerate(shown, start=1)
        ]
        if len(shown) < len(runs):
            lines.append(f"    and {len(runs) - len(shown)} more")
        steps = sum(one.steps for one in runs)
        total = f"{many(len(runs), 'run')}, {steps:,} steps in all, time {sweep.time_of(runs)}"
        return "\n".join([*lines, "", f"{total}.", "Enter starts them."])

    def _typed(self) -> tuple[str, str]:
        return tuple(self.query_one(name, Input).value.strip() for name in ("#grid", "#by"))  # type: ignore[return-value]

    def _wanted(self) -> tuple[list[Settings], By]:
        """The settings of every run, and what makes one the best. Raises BadInput for what is not good."""
        grid, by = self._typed()
        try:
            axes = shlex.split(grid)
        except ValueError as error:
            raise BadInput(
                f"cannot read this: {error}", fix=f"Write KEY=A,B KEY=C,D, for example {_EXAMPLE}."
            ) from error
        found = sweep.grid(axes)
        if not axes:
            raise BadInput("there is nothing to try", fix=f"For example {_EXAMPLE}.")
        if by not in get_args(By):
            raise BadInput(f"best by {by!r}?", fix=f"Write {' or '.join(get_args(By))}.")
        for settings in found[: sweep.MOST]:
            self._recipe(settings)
        return found, by  # type: ignore[return-value]

    def _recipe(self, settings: Settings) -> Profile:
        made = with_settings(self._profile, settings)
        sanity.refuse(made)
        return made

    def _wrong(self, error: LoraTuiError) -> None:
        self._say(f"{error.what}. {error.fix}".strip(), wrong=True)

    def _say(self, text: str, *, wrong: bool = False) -> None:
        line = self.query_one("#said", Static)
        line.set_class(wrong, "-wrong")
        line.update(Content(plain(text)))
