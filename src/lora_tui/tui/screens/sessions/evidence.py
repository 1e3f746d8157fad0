"""Why the machine says what language it is: the three heaviest pieces of evidence."""

from __future__ import annotations

from textual.content import Content
from textual.widget import Widget

from lora_tui.curation.reading import Example
from lora_tui.tui.safe_text import fit, one_line
from lora_tui.tui.widgets.conversation_lines import Line

_MOST = 3


def evidence_lines(example: Example, width: int, reason: str = "") -> list[Line]:
    """What stands above a conversation in `width` cells: title and place, the verdict, its evidence.

    reason: why a queue proposes it.
    """
    row, verdict = example.row, example.verdict
    title = one_line(row.title) or "untitled"
    about = " · ".join(
        one_line(part)
        for part in (row.source, row.model.partition("/")[2] or row.model, row.licence, row.directory)
        if part
    )
    lines: list[Line] = [[(fit(title, width), "heading")], [(fit(about, width), "muted")]]
    if reason:
        lines.append([("proposed: ", "heading"), (fit(one_line(reason), width - 10), "")])
    lines.append([(_verdict(example), "tool")])
    lines.extend(
        [(f"+{piece.weight:g} ".rjust(7), "good"), (fit(f"{piece.language}: {one_line(piece.detail)}", width - 8), "")]
        for piece in verdict.evidence[:_MOST]
    )
    lines.extend(_rest(example, width))
    return [*lines, []]


def _rest(example: Example, width: int) -> list[Line]:
    """How the work went, what was replaced, and what people said beside their decision; only what there is."""
    row = example.row
    tone = {"success": "good", "failed": "bad", "complained": "bad"}.get(row.outcome, "muted")
    signs = " · ".join(one_line(sign.detail) for sign in example.signals[:_MOST])
    lines: list[Line] = []
    if signs:
        lines.append([(f"{row.outcome}: ", tone), (fit(signs, width - len(row.outcome) - 2), "")])
    if example.findings:
        found = ", ".join(f"{name} ×{times}" if times > 1 else name for name, times in example.findings.items())
        lines.append([("replaced: ", "redacted"), (fit(found, width - 10), "")])
    if row.tags:
        lines.append([(fit(" ".join(f"#{tag}" for tag in row.tags), width), "tool")])
    if row.note:
        lines.append([("note: ", "heading"), (fit(one_line(row.note), width - 6), "")])
    return lines


def _verdict(example: Example) -> str:
    row, verdict = example.row, example.verdict
    shares = ", ".join(f"{language} {share:.0%}" for language, share in list(verdict.shares.items())[:3])
    machine = f"{verdict.language} {verdict.confidence:.2f}" + ("" if verdict.sure else ", not sure")
    if verdict.language == "none":
        machine = "no language: too little points to one"
    own = f" · you said {row.language}" if row.language != row.machine_language else ""
    several = f" ({shares})" if len(verdict.shares) > 1 else ""
    return f"{machine}{several}{own}"


class EvidenceLine(Widget):
    """The evidence in one line, for a narrow terminal; before it what people wrote about the example."""

    COMPONENT_CLASSES = {"evidence--language"}
    DEFAULT_CSS = """
    EvidenceLine {
        height: 1; color: $muted; text-style: $muted-style;
        & .evidence--language { color: $secondary; text-style: bold; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._language = self._text = ""

    def show(self, example: Example | None, reason: str = "") -> None:
        """The evidence of this example, and why a queue proposes it; nothing for None."""
        language = text = ""
        if example is not None:
            language = example.verdict.language
            pieces = example.verdict.evidence[:_MOST]
            text = "  ".join(f"+{piece.weight:g} {one_line(piece.detail)}" for piece in pieces)
            text = text or "nothing in it points to a language"
            note = [f"note: {one_line(example.row.note)}"] if example.row.note else []
            proposed = [f"proposed: {one_line(reason)}"] if reason else []
            text = "  ".join([*proposed, *(f"#{tag}" for tag in example.row.tags), *note, text])
        if (language, text) != (self._language, self._text):
            self._language, self._text = language, text
            self.refresh()

    def render(self) -> Content:
        """The line."""
        if not self._language:
            return Content("")
        head = f" {self._language}  "
        return Content.assemble(
            Content.styled(head, self.get_visual_style("evidence--language")),
            Content(fit(self._text, max(0, self.size.width - len(head)))),
        )
