"""The dialogs in which a person says more than a key can: a note, a tag, a decision about everything shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from lora_tui.curation import facets
from lora_tui.curation.examples import ExampleRow
from lora_tui.curation.labels import Action, Preview
from lora_tui.tui.safe_text import fit, one_line
from lora_tui.tui.screens.dialogs.ask import AskDialog
from lora_tui.tui.screens.dialogs.choose import ChooseDialog
from lora_tui.tui.wording import many

if TYPE_CHECKING:
    from textual.app import App

    from lora_tui.workspace.layout import Workspace

_NEW = "\0new"
_SAMPLE_WIDTH = 54  # with the language it fits 80 columns


def ask_note(app: App[Any], row: ExampleRow, said: Callable[[Action, str], None]) -> None:
    """A note on one example; an empty one takes it away."""

    def answered(text: str | None) -> None:
        if text is not None and text != row.note:
            said("note", text)

    question = f"On “{fit(one_line(row.request), 40).rstrip()}”. Empty it to take the note away."
    app.push_screen(AskDialog("Note", question, row.note, may_be_empty=True), answered)


def ask_tag(app: App[Any], row: ExampleRow, workspace: Workspace, said: Callable[[Action, str], None]) -> None:
    """A tag to give or to take away, from those in use, or a new one."""

    def typed(tag: str | None) -> None:
        if tag:
            said("tag", tag)

    def chosen(tag: str | None) -> None:
        if tag == _NEW:
            app.push_screen(AskDialog("New tag", "One word: letters, digits and . : + - _"), typed)
        elif tag is not None:
            said("untag" if tag in row.tags else "tag", tag)

    used = dict(facets.values(workspace, "tags"))
    choices = [(tag, f"{'✓' if tag in row.tags else ' '} {tag}  {number:,}") for tag, number in used.items()]
    app.push_screen(ChooseDialog("Tag", [*choices, (_NEW, "  a new tag …")]), chosen)


def ask_bulk(
    app: App[Any], preview: Preview, languages: Sequence[str], said: Callable[[Action, str | None], None]
) -> None:
    """One decision about all that a filter shows; five of them are shown first."""
    lines = [many(len(preview.ids), "example") + f" pass this filter; {preview.decided:,} already decided."]
    lines += ["", *(f"  {fit(row.language, 11)}{fit(one_line(row.request), _SAMPLE_WIDTH)}" for row in preview.sample)]
    if len(preview.ids) > len(preview.sample):
        lines.append(f"  … {len(preview.sample)} of them, drawn at random")
    lines += ["", "One u takes all of it back."]
    choices = [("accept", "accept them all"), ("reject", "reject them all"), ("skip", "skip them all")]
    choices += [("flag", "flag them all"), ("tag", "tag them all …")]
    choices += [(f"language {language}", f"they are all {language}") for language in languages]

    def tagged(tag: str | None) -> None:
        if tag:
            said("tag", tag)

    def chosen(choice: str | None) -> None:
        if choice == "tag":
            app.push_screen(AskDialog("Tag", "One word for all of them: letters, digits and . : + - _"), tagged)
        elif choice is not None:
            action, _, value = choice.partition(" ")
            said(cast(Action, action), value or None)

    app.push_screen(ChooseDialog("All of these", choices, above="\n".join(lines)), chosen)
