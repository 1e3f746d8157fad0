"""One suite: its prompts, what their answers must show, and every change to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from lora_tui.jobs.checks import Expectation
from lora_tui.jobs.journal import Check
from lora_tui.tui.keymap import bindings
from lora_tui.tui.safe_text import one_line, plain
from lora_tui.tui.screens.dialogs.choose import ChooseDialog
from lora_tui.tui.screens.dialogs.page import PageDialog
from lora_tui.tui.screens.sessions import draft
from lora_tui.tui.screens.suites.changes import Changes
from lora_tui.tui.screens.suites.expectation_form import ExpectationForm
from lora_tui.tui.screens.suites.prompt_form import PromptForm
from lora_tui.tui.screens.suites.rows import EntryRows, WantedRows
from lora_tui.tui.screens.suites.trial import TryDialog
from lora_tui.tui.stage import Stage
from lora_tui.tui.widgets.live_lines import Line, LiveLines
from lora_tui.tui.widgets.transcript import Transcript
from lora_tui.tui.widgets.virtual_list import VirtualList
from lora_tui.tui.widgets.wrap import wrap
from lora_tui.verify.suites import kinds as suite_kinds
from lora_tui.verify.suites import trial as suite_trial
from lora_tui.verify.suites.editing import Editing
from lora_tui.verify.suites.outline import Entry, Wanted
from lora_tui.workspace.errors import BadInput

_LEAVE = (
    ("save", "save, and go back"),
    ("keep", "go back; the changes stay as a draft"),
    ("drop", "give the changes up, and go back"),
)
_LEFT = (
    ("on", "go on with what it left"),
    ("anew", "begin with what stands here; what it left is dropped"),
)


class SuiteScreen(Stage):
    """Owns the suite under change and what is shown of it. The keys act in the list that has them."""

    NAME = "verify"
    PLACE = "suite"
    CSS_PATH = "screen.tcss"
    BINDINGS = bindings("suite")

    def __init__(self, editing: Editing) -> None:
        super().__init__()
        self.editing = editing
        self._changes = Changes(editing)
        self._answer = ""  # that expectations were tried on last

    def body(self) -> ComposeResult:
        """What suite it is; the prompts; the prompt under the cursor and its expectations."""
        yield LiveLines(id="about")
        with Vertical(id="browse"):
            yield VirtualList(id="prompts")
            with Vertical(id="prompt"):
                yield Transcript(id="asked")
                yield Static("What the answer must show", id="over", markup=False)
                yield VirtualList(id="expectations")
                yield Static(id="kind", markup=False)

    def on_mount(self) -> None:
        """Show it."""
        self._prompts.focus()
        self._show()
        if self.editing.recovered:
            self.tell("These are changes that were not saved; u takes them back.")

    @property
    def _prompts(self) -> VirtualList:
        return self.query_one("#prompts", VirtualList)

    @property
    def _expectations(self) -> VirtualList:
        return self.query_one("#expectations", VirtualList)

    @property
    def _lower(self) -> bool:
        return self._expectations.has_focus

    # ---- showing

    def _show(self, cursor: int | None = None, lower: int | None = None) -> None:
        """Read the text again; the cursors stay where they are, or go where they are sent."""
        self._changes.read()
        self.query_one("#about", LiveLines).show(self._about)
        self._lower_cursor = self._expectations.cursor if lower is None else lower
        self._prompts.show(EntryRows(self._changes.outline.entries), self._prompts.cursor if cursor is None else cursor)

    def _about(self, width: int) -> Sequence[Line]:
        outline, editing = self._changes.outline, self.editing
        count = len(outline.entries)
        state = ("not saved", "warn") if editing.changed else ("saved", "muted")
        whose = "" if editing.path == editing.own else "shipped; saved as your own copy"
        return [
            [
                (editing.name, "primary"),
                (f"  {count} prompt{'' if count == 1 else 's'}  ", "muted"),
                state,
                (f"  {whose}", "muted"),
                (f"  {one_line(outline.description)}", ""),
            ]
        ]

    @on(VirtualList.Moved, "#prompts")
    def _prompt_moved(self) -> None:
        entry = self._entry()
        text = plain(_asked(entry)) if entry is not None else "no prompt yet: a adds one"
        self.query_one("#asked", Transcript).show_lines(
            lambda width, folded: ([(line, "")] for part in text.split("\n") for line in wrap(part, width) or [""])
        )
        every = self._changes.outline.default
        own = entry.wanted if entry is not None else ()
        self._expectations.show(WantedRows(own, every.wanted), self._lower_cursor)
        self._lower_cursor = 0

    @on(VirtualList.Moved, "#expectations")
    def _expectation_moved(self) -> None:
        wanted = self._wanted()
        said = f"{wanted.type}: {suite_kinds.of(wanted.type).about}" if wanted is not None else ""
        if wanted is None and (entry := self._entry()) is not None:
            said = entry.why or "nothing is expected yet: tab, then a adds an expectation"
        self.query_one("#kind", Static).update(Content(plain(said)))

    def _entry(self) -> Entry | None:
        entries = self._changes.outline.entries
        return entries[self._prompts.cursor] if self._prompts.cursor < len(entries) else None

    def _here(self) -> Entry:
        entry = self._entry()
        if entry is None:
            raise BadInput("there is no prompt yet", fix="a adds one.")
        if entry.why:
            raise BadInput(f"{entry.why}", fix="E opens the file in your editor.")
        return entry

    def _wanted(self) -> Wanted | None:
        source = self._expectations.source
        if isinstance(source, WantedRows) and self._expectations.cursor < len(source):
            return source.wanted[self._expectations.cursor]
        return None

    def _chosen(self) -> Wanted:
        wanted = self._wanted()
        if wanted is None:
            raise BadInput("there is no expectation yet", fix="a adds one.")
        return wanted

    def _holder(self) -> Entry:
        """Whose expectations are meant: the prompt's, or on one that holds for every prompt, all prompts'."""
        source = self._expectations.source
        every = isinstance(source, WantedRows) and bool(source.wanted) and source.of_all(self._expectations.cursor)
        entry = self._entry()
        return self._changes.outline.default if every and entry is not None and entry.wanted else self._here()

    # ---- changing

    def action_edit(self) -> None:
        """Change what the cursor is on."""
        if self._lower:
            wanted = self._chosen()
            if wanted.why:
                raise BadInput(wanted.why, fix="E opens the file in your editor.")
            form = self._form("Expectation", wanted.data)
            self.ask(form, partial(self._take, form, lambda data: self._changes.change(wanted, data)))
        else:
            entry = self._here()
            form_ = PromptForm("Prompt", entry, self._changes.outline.names)
            self.ask(form_, lambda filled: self._done(self._changes.fill, entry, filled))

    def action_add(self) -> None:
        """Add a prompt at the end, or an expectation behind the others."""
        if not self._lower:
            form = PromptForm("A new prompt", Entry((), "", ""), self._changes.outline.names)
            self.ask(form, self._add_prompt)
            return
        holder = self._holder()
        choices = [(item.name, f"{item.name:<16} {item.about}") for item in suite_kinds.known()]

        def chosen(name: str) -> None:
            expectation = self._form("A new expectation", {"type": name})
            self.ask(expectation, partial(self._take, expectation, lambda data: self._changes.add(holder, data)))

        self.ask(ChooseDialog("What must an answer show?", choices), chosen)

    def _add_prompt(self, filled: Mapping[tuple[str, ...], Any]) -> None:
        self._changes.begin(filled)
        self._show(len(self._changes.outline.entries))

    def _form(self, title: str, data: Mapping[str, Any]) -> ExpectationForm:
        entry = self._entry() or Entry((), "", "")
        return ExpectationForm(title, data, partial(self._meant, entry), self._answer)

    def _meant(self, entry: Entry, data: Mapping[str, Any]) -> Expectation:
        default = self._changes.outline.default
        language = entry.language or default.language
        return suite_trial.expectation(data, {**default.vars, **entry.vars}, language, self.editing.own.parent)

    def _take(self, form: ExpectationForm, change: Any, data: Mapping[str, Any]) -> None:
        self._answer = form.answer
        self._done(change, data)

    def _done(self, change: Any, *arguments: Any) -> None:
        change(*arguments)
        self._show()

    def action_copy(self) -> None:
        """Put a copy behind it."""
        path = self._chosen().path if self._lower else self._here().path
        self._changes.copy(path)
        if self._lower:
            self._show(lower=self._expectations.cursor + 1)
        else:
            self._show(self._prompts.cursor + 1)

    def action_remove(self) -> None:
        """Take it out."""
        self._changes.remove(self._chosen().path if self._lower else self._here().path)
        self._show()

    def action_undo(self) -> None:
        """Take the last change back."""
        self.editing.undo()
        self._show()

    def action_editor(self) -> None:
        """Change the whole text in the person's editor; where that left another one before, after asking with which."""
        if self._changes.is_left(self._changes.handed_over(self.shell.workspace)):
            self.ask(ChooseDialog("Your editor left another text", _LEFT), self._edit)
        else:
            self._edit("anew")

    def _edit(self, how: str) -> None:
        path = self._changes.handed_over(self.shell.workspace)
        self._changes.hand_over(path, anew=how == "anew")
        with self.app.suspend():  # nothing may raise in here: the terminal would not come back
            problem = draft.run_editor(self.shell.config.editor, path)
        if problem is not None:
            self._changes.withdraw(path)
            raise problem
        self._changes.take_back(path)
        self._show()

    # ---- trying, checking, saving

    def action_try(self) -> None:
        """Try the prompt's expectations, or in the lower list the one under the cursor, on an answer that is typed."""
        entry, default = self._here(), self._changes.outline.default
        alone = self._lower
        wanted = (self._chosen(),) if alone else (*entry.wanted, *default.wanted)
        given, language = {**default.vars, **entry.vars}, entry.language or default.language
        threshold = None if alone else entry.threshold if entry.threshold is not None else default.threshold

        def check(answer: str, run: bool) -> list[Check]:
            return suite_trial.all_tried(wanted, given, language, self.editing.own.parent, answer, run=run)

        def closed(answer: str) -> None:
            self._answer = answer

        title = wanted[0].type if alone else one_line(entry.description)
        self.ask(TryDialog(title, self._answer, threshold, check), closed)

    def action_check(self) -> None:
        """Everything that is wrong with it."""

        def write() -> str:
            suite, problems = self.editing.read()
            if suite is not None:
                return f"{len(suite.cases)} prompts, no mistake"
            return "\n".join(f"{Path(item.where).name}: {item.what}" for item in problems)

        self.app.push_screen(PageDialog(self.editing.name, write))

    def action_save(self) -> None:
        """Save it."""
        self._save()

    def _save(self) -> None:
        self.editing.save()
        self.query_one("#about", LiveLines).show(self._about)
        self.tell(f"Saved: {self.editing.own}")

    def action_other(self) -> None:
        """The other list."""
        (self._prompts if self._lower else self._expectations).focus()

    def action_scroll_prompt(self, lines: int) -> None:
        """Scroll what is asked while the lists keep the keys."""
        self.query_one("#asked", Transcript).action_line(lines)

    def action_leave(self) -> None:
        """Back to the suites; with changes, after asking what becomes of them."""
        if self.editing.changed:
            self.ask(ChooseDialog("Not saved", _LEAVE), self._leave)
        else:
            self.dismiss()

    def _leave(self, how: str) -> None:
        if how == "save":
            self._save()
        elif how == "drop":
            self.editing.give_up()
        self.dismiss()


def _asked(entry: Entry) -> str:
    if len(entry.vars) == 1:
        return entry.asked
    return "\n".join(f"{name}: {value}" for name, value in entry.vars.items()) or entry.asked or entry.description
