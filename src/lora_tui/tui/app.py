"""The app: its screens, the keys that work everywhere, themes, and what happens to errors."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from textual.actions import ActionParseResult
from textual.app import App, SystemCommand
from textual.dom import DOMNode
from textual.screen import Screen
from textual.worker import Worker, WorkerState

from lora_tui.tui import themes
from lora_tui.tui.keymap import actions, bindings, checked, keys_of
from lora_tui.tui.stage import Stage
from lora_tui.tui.stages import STAGES, stage
from lora_tui.tui.terminal import osc52, wants_no_colour
from lora_tui.workspace.config import load_config
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace

_OVERTAKEN = 0.1  # seconds in which earlier keys reach their widgets
_LEFT_OVER_AFTER = 1.0  # seconds: the first frame does not wait for it
_LAST_SECONDS = 3.0  # after SIGHUP or SIGTERM the process ends by itself within this time, or is ended


def _suites() -> Screen[None]:
    from lora_tui.tui.screens.suites.screen import SuitesScreen

    return SuitesScreen()


class LoraTuiApp(App[None]):
    """The face of one workspace. Each screen is imported when it is first shown; none imports the engine.

    A LoraTuiError in a worker or behind a key becomes a dialog; anything else is a bug: its traceback goes to the
    log and a dialog says so.
    """

    TITLE = "lora-tui"
    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS = bindings("app")
    MODES = {item.name: partial(item.open) for item in STAGES}
    SCREENS = {"suites": _suites}

    def __init__(self, workspace: Workspace, start: str = "home", *, clock: Callable[[], float] = time.time) -> None:
        """`start` names the first screen. Raises BadInput when it, or something in config.toml, cannot be used."""
        self.DEFAULT_MODE = stage(start).name  # type: ignore[misc]  # no other screen is made first
        super().__init__(ansi_color=True if wants_no_colour(os.environ) else None)
        self._disable_tooltips = True  # a resting mouse would cost a repaint
        self.workspace = workspace
        self.clock = clock
        self.config = load_config(workspace)
        self.keymap = checked(self.config.keymap)
        self.last_words = ""  # for stderr, when the terminal is the shell's again
        self._interrupted = 0.0
        found, self._theme_errors = themes.load_themes(workspace)
        for theme in found:
            self.register_theme(theme)
        wanted = themes.WITHOUT_COLOUR if self.no_color else self.config.theme
        if wanted not in self.available_themes:
            self._theme_errors.append(BadInput(f"there is no theme {wanted!r}", where=str(workspace.config)))
            wanted = themes.DEFAULT
        self.theme = wanted
        self.set_keymap(self.keymap)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """The variables our stylesheets use, for themes that do not set them."""
        return themes.VARIABLE_DEFAULTS

    async def on_mount(self) -> None:
        """Show the first screen; leave cleanly when the terminal goes away."""
        loop = asyncio.get_running_loop()
        if threading.current_thread() is threading.main_thread() and not self.is_headless:
            for number in (signal.SIGTERM, signal.SIGHUP):
                loop.add_signal_handler(number, self._leave_on_signal, int(number))
        self.call_after_refresh(self._tell_theme_errors)
        self.set_timer(
            _LEFT_OVER_AFTER, partial(self.run_worker, self._tell_left_over, thread=True, exit_on_error=False)
        )

    def _tell_theme_errors(self) -> None:
        for error in self._theme_errors:
            self.notify(str(error), title="Theme", severity="warning", timeout=10, markup=False)

    def _tell_left_over(self) -> None:
        """A thread: machines that cost and that no run works on, where the journals leave that open."""
        from lora_tui.backends.renting import sweep

        found = sweep.left_over_by_the_way(self.workspace)
        if found and self.is_running:
            cost = sum(one.machine.price_per_hour for one in found)
            many = "A rented machine was" if len(found) == 1 else f"{len(found)} rented machines were"
            text = f"{many} left behind, at ${cost:.2f}/h. To end it:\nlora-tui rented sweep"
            self.call_from_thread(self.notify, text, title="Rented", severity="warning", timeout=30, markup=False)

    def _leave_on_signal(self, number: int) -> None:
        watchdog = threading.Timer(_LAST_SECONDS, os._exit, (128 + number,))
        watchdog.daemon = True  # a terminal that is gone can block the way out
        watchdog.start()
        self.exit(return_code=128 + number)

    # ---- errors

    async def run_action(
        self,
        action: str | ActionParseResult,
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """Perform an action; what goes wrong behind a key is shown and the app goes on."""
        try:
            return await super().run_action(action, default_namespace, namespaces)
        except Exception as error:
            self.show_error(error)
            return True

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A worker with exit_on_error=False failed: show why."""
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            self.show_error(event.worker.error)

    def show_error(self, error: BaseException) -> None:
        """Open the dialog for an error; a bug's traceback goes to the log first."""
        from lora_tui.tui.screens.dialogs.error import ErrorDialog

        if not isinstance(error, LoraTuiError):
            error = LoraTuiError(
                f"this is a bug in lora-tui: {error!r}",
                where=self._log_bug(error),
                fix="The traceback is in that file.",
            )
        if not isinstance(self.screen, ErrorDialog):
            self.push_screen(ErrorDialog(error))

    def _log_bug(self, error: BaseException) -> str:
        path = self.workspace.logs / "lora-tui.log"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a") as file:
                file.write(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')}\n")
                traceback.print_exception(error, file=file)
        except OSError as failure:
            return f"no log could be written: {failure.strerror}"
        return str(path)

    def _fatal_error(self) -> None:
        """A bug that broke a message loop: leave, and say in two lines where the traceback is."""
        error = sys.exc_info()[1] or self._exception or RuntimeError("unknown")
        where = self._log_bug(error)
        self.last_words = f"error: this is a bug in lora-tui: {error!r}\n  The traceback is in {where}."
        self._close_messages_no_wait()

    # ---- keys that work everywhere

    def action_go(self, name: str) -> None:
        """Show a screen."""
        self.switch_mode(stage(name).name)

    async def action_back(self) -> None:
        """From a screen to Home; from Home out."""
        if self.current_mode == "home":
            self.exit()
        else:
            await self.switch_mode("home")

    def _place(self) -> str:
        return self.screen.place if isinstance(self.screen, Stage) else self.current_mode

    async def action_quit(self) -> None:
        """Leave, after the keys typed before: this one overtakes them."""
        self.set_timer(_OVERTAKEN, self.exit)

    def action_help(self) -> None:
        """Show the keys of the focused screen."""
        from lora_tui.tui.screens.dialogs.help import HelpDialog

        self.push_screen(HelpDialog(self._place(), self.focused))

    def action_help_quit(self) -> None:
        """ctrl+c twice within two seconds leaves."""
        now = time.monotonic()
        if now - self._interrupted < 2.0:
            self.exit()
        self._interrupted = now
        self.notify("Press ctrl+c again to leave.", timeout=2)

    def copy_to_clipboard(self, text: str) -> None:
        """Put text on the clipboard of the person's terminal (OSC 52)."""
        self._clipboard = text
        if self._driver is not None:
            self._driver.write(osc52(text, os.environ))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The palette: this screen's actions, every screen, every theme."""
        places = [self._place()] if screen.is_current and not screen.is_modal else []
        for action in [item for place in (*places, "app") for item in actions(place)]:
            title = f"{action.label[:1].upper()}{action.label[1:]}  ({' '.join(keys_of(action, self.keymap))})"
            yield SystemCommand(title, action.help, partial(self._perform, action.do, screen))
        for name in sorted(self.available_themes):
            if name.startswith("lora-") or name == self.config.theme:
                yield SystemCommand(
                    f"Theme {name}", "Until you leave; config.toml keeps it.", partial(self._wear, name)
                )

    async def _perform(self, action: str, screen: Screen[object]) -> None:
        await self.run_action(action, screen)

    def _wear(self, name: str) -> None:
        self.theme = name
