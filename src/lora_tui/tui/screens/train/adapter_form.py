"""A form for an adapter of one's own: what differs from another profile, checked while it is typed."""

from __future__ import annotations

from pathlib import Path

import msgspec
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.events import DescendantFocus
from textual.widgets import Input, Static

from lora_tui.backends import profile_check
from lora_tui.tui.keymap import bindings
from lora_tui.tui.safe_text import plain
from lora_tui.tui.screens.dialogs.dialog import Dialog
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile, load_profile, profile_paths
from lora_tui.workspace.profiles.keys import words
from lora_tui.workspace.profiles.layers import Layer
from lora_tui.workspace.profiles.settings import setting, with_settings
from lora_tui.workspace.profiles.writing import drafted, new_profile

NAME, PARENT = "name", "extends"
_FIELDS = (
    "description",
    "model.base",
    "lora.r",
    "lora.lora_alpha",
    "lora.lora_dropout",
    "lora.target_modules",
    "training.learning_rate",
    "training.num_train_epochs",
    "training.max_length",
    "training.per_device_train_batch_size",
    "training.gradient_accumulation_steps",
    "verification.suite",
)
_SAID = {
    NAME: "what it is called, in small letters: its runs and adapters carry this name",
    PARENT: "the profile that everything comes from which stands empty here",
}


class AdapterForm(Dialog[str]):
    """Results in the name of the profile that was written, None when closed. An empty field is as the parent has it."""

    BINDINGS = bindings("form")
    DEFAULT_CSS = """
    AdapterForm {
        .dialog { width: 86; height: auto; }
        .field { height: 1; }
        .label { width: 30; color: $muted; text-style: $muted-style; }
        Input { width: 1fr; border: none; height: 1; padding: 0 1; background: $panel; }
        Input.-wrong { color: $error; }
        #said { height: 2; margin-top: 1; color: $muted; text-style: $muted-style; }
        #problem { height: 2; }
        #problem.-wrong { color: $error; }
        #problem.-warning { color: $warning; }
    }
    """

    def __init__(self, workspace: Workspace, parent: str) -> None:
        super().__init__()
        self._workspace = workspace
        self._proposed = parent

    def compose(self) -> ComposeResult:
        """One line per key, what the key means, what is wrong."""
        with VerticalScroll(classes="dialog", can_focus=False) as box:
            for key in (NAME, PARENT, *_FIELDS):
                field = Input(self._proposed if key == PARENT else "", compact=True, id=_id(key))
                field.cursor_blink = False
                with Horizontal(classes="field"):
                    yield Static(key.rpartition(".")[2], classes="label", markup=False)
                    yield field
            yield Static(id="said", markup=False)
            yield Static(id="problem", markup=False)
        box.border_title = "An adapter of your own"
        box.border_subtitle = "tab next · ctrl+s write · esc close"

    def on_mount(self) -> None:
        """Begin with the name."""
        self._input(NAME).focus()
        self._check()

    def text(self) -> str:
        """The file as it would be written."""
        try:
            return self._draft(self._value(NAME))[1]
        except LoraTuiError as error:
            return str(error)

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """Say what the key means that is being typed."""
        if event.widget.id:
            key = _key(event.widget.id)
            self.query_one("#said", Static).update(Content(plain(_SAID.get(key) or words()[key])))

    def on_input_changed(self, message: Input.Changed) -> None:
        """Look whether it all fits together."""
        self._check()

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Enter goes to the next field; in the last one it writes."""
        if message.input.id == _id(_FIELDS[-1]):
            self.action_write()
        else:
            self.focus_next(Input)

    def action_write(self) -> None:
        """Write the profile and close; what cannot be written is said, and nothing that was typed is lost."""
        if not self._check():
            return
        try:
            parent, layers = self._wanted()
            new_profile(self._workspace, self._value(NAME), parent, layers, description=self._value("description"))
        except LoraTuiError as error:
            self._say(str(error), "-wrong")
            return
        self.dismiss(self._value(NAME))

    def _check(self) -> bool:
        """Show the first thing that is wrong, and what the empty fields inherit; whether it may be written."""
        for key in (NAME, PARENT, *_FIELDS):
            self._input(key).set_class(False, "-wrong")
        try:
            parent = load_profile(self._workspace, self._chosen_parent())
        except LoraTuiError as error:
            return self._wrong(PARENT, error)
        for key in _FIELDS:
            self._input(key).placeholder = _shown(parent, key)
        made = parent
        for key in _FIELDS:
            if self._value(key) and key != "description":
                try:
                    made = with_settings(made, [f"{key}={self._value(key)}"])
                except LoraTuiError as error:
                    return self._wrong(key, error)
        try:
            path, _ = self._draft(self._value(NAME) or "a-name")
            if self._value(NAME) and path.exists():
                raise BadInput(f"there is a profile {self._value(NAME)!r} already", fix="Give another name.")
        except LoraTuiError as error:
            return self._wrong(NAME, error)
        for problem in profile_check.check_without_engine(self._workspace, made).problems:
            said = f"{problem.key}: {problem.message}. {problem.fix}".strip()
            self._say(said, "-wrong" if problem.severity == "error" else "-warning")
            if problem.severity == "error":
                return False
            break
        else:
            self._say("" if self._value(NAME) else "It needs a name.", "")
        return bool(self._value(NAME))

    def _wrong(self, key: str, error: LoraTuiError) -> bool:
        self._input(key).set_class(True, "-wrong")
        self._say(f"{error.what}. {error.fix}".strip(), "-wrong")
        return False

    def _say(self, text: str, kind: str) -> None:
        line = self.query_one("#problem", Static)
        line.set_class(kind == "-wrong", "-wrong")
        line.set_class(kind == "-warning", "-warning")
        line.update(Content(plain(text)))

    def _wanted(self) -> tuple[str, list[Layer]]:
        """The parent and the layers over it that the fields are."""
        base = load_profile(self._workspace, self._chosen_parent())
        typed = [key for key in _FIELDS if self._value(key) and key != "description"]
        return self._chosen_parent(), [setting(f"{key}={self._value(key)}", base) for key in typed]

    def _draft(self, name: str) -> tuple[Path, str]:
        """The file as it would be."""
        return drafted(self._workspace, name, *self._wanted(), description=self._value("description"))

    def _chosen_parent(self) -> str:
        name = self._value(PARENT)
        if name not in profile_paths(self._workspace):
            known = ", ".join(sorted(profile_paths(self._workspace)))
            raise BadInput(f"there is no profile {name!r}", fix=f"Known: {known}.")
        return name

    def _input(self, key: str) -> Input:
        return self.query_one(f"#{_id(key)}", Input)

    def _value(self, key: str) -> str:
        return self._input(key).value.strip()


def _id(key: str) -> str:
    return "field-" + key.replace(".", "--")


def _key(identity: str) -> str:
    return identity.removeprefix("field-").replace("--", ".")


def _shown(profile: Profile, key: str) -> str:
    """The parent's value as one types it."""
    table, dot, name = key.rpartition(".")
    data = msgspec.to_builtins(profile)
    value = (data[table] if dot else data)[name]
    if isinstance(value, list | tuple):
        return ",".join(str(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
