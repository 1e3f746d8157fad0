"""The picture of the pipeline: one line per stage, languages as bars under Sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.widget import Widget

from lora_tui.tui.safe_text import age, fit
from lora_tui.tui.screens.home.next_step import next_step

if TYPE_CHECKING:
    from lora_tui.tui.screens.home.overview import Overview

_NAME = 11  # cells of the stage names
_COUNT = 7
_BAR = 20


class Pipeline(Widget):
    """Shows an Overview, or that it is being read."""

    COMPONENT_CLASSES = {"pipeline--name", "pipeline--muted", "pipeline--good", "pipeline--bad", "pipeline--next"}
    DEFAULT_CSS = """
    Pipeline {
        padding: 1 3;
        & .pipeline--name { color: $primary; text-style: bold; }
        & .pipeline--muted { color: $muted; text-style: $muted-style; }
        & .pipeline--good { color: $success; }
        & .pipeline--bad { color: $error; }
        & .pipeline--next { color: $accent; text-style: bold; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._overview: Overview | None = None
        self._now = 0.0

    def show(self, overview: Overview, now: float) -> None:
        """Show what was read at `now` (epoch seconds)."""
        if (overview, int(now)) != (self._overview, int(self._now)):
            self._overview, self._now = overview, now
            self.refresh()

    def render(self) -> Content:
        """Every line."""
        overview = self._overview
        if overview is None:
            return Content("")
        lines = [self._tone("From the sessions you had to a specialist your agent uses", "muted"), Content("")]
        if not overview.examples and not overview.runs:
            return Content("\n").join([*lines, *self._how_to_begin(overview)])
        lines += self._sessions(overview)
        lines += [self._dataset(overview), self._training(overview), self._adapters(overview), self._report(overview)]
        step = next_step(overview)
        lines += [Content(""), self._line("Next", Content(step.sentence), "next")]
        if step.screen:
            lines.append(self._line("", self._tone(f"enter goes to {step.screen.capitalize()}", "muted")))
        return Content("\n").join(lines)

    def _how_to_begin(self, overview: Overview) -> list[Content]:
        found = [
            self._line("Begin", Content("This workspace is empty."), "next"),
            Content(""),
            self._line("i", Content("Read the history your agents keep on this machine.")),
            self._line("", self._tone("Shows which files it would read before it reads them.", "muted")),
            self._line("", self._tone("They are opened read-only and stay as they are.", "muted")),
            Content(""),
            self._line("d", Content("See the whole loop on bundled sessions and a tiny model.")),
            self._line("", self._tone("No download, no GPU; a few minutes.", "muted")),
            Content(""),
            self._line("?", Content("All keys.")),
        ]
        if overview.sessions:
            found[0] = self._line("Begin", Content(next_step(overview).sentence), "next")
        return found

    def _sessions(self, overview: Overview) -> list[Content]:
        text = f"{overview.examples:,} examples from {overview.sessions:,} sessions"
        numbers = (
            f"{overview.unlabelled:,} to look at · {overview.accepted:,} accepted · {overview.rejected:,} rejected"
        )
        lines = [
            self._line("Sessions", Content(text)),
            self._line("", self._tone(numbers, "muted")),
        ]
        wide = self.size.width >= 100
        room = max(3, self.size.height - 10)
        for item in overview.languages[:room]:
            filled = round(_BAR * (item.total - item.unlabelled) / item.total) if item.total else 0
            accepted = round(_BAR * item.accepted / item.total) if item.total else 0
            if item.accepted and not accepted:
                accepted, filled = 1, max(1, filled)
            bar = Content.assemble(
                self._tone("█" * accepted, "good"),
                self._tone("▒" * max(0, filled - accepted), "muted"),
                self._tone("·" * (_BAR - max(accepted, filled)), "muted"),
            )
            tail = f"{item.accepted:>{_COUNT},} accepted"
            if wide:
                tail += f"{item.unlabelled:>{_COUNT},} to look at"
            lines.append(
                self._line(
                    "", Content.assemble(Content(f"{fit(item.language, 11)}{item.total:>{_COUNT},}  "), bar, tail)
                )
            )
        if len(overview.languages) > room:
            lines.append(self._line("", self._tone(f"and {len(overview.languages) - room} more", "muted")))
        lines.append(Content(""))
        return lines

    def _dataset(self, overview: Overview) -> Content:
        found = overview.dataset
        if found is None:
            return self._line("Dataset", self._tone("none yet", "muted"))
        rows = " · ".join(f"{number:,} {split}" for split, number in found.rows.items())
        more = f" · {overview.datasets} versions" if overview.datasets > 1 else ""
        return self._line(
            "Dataset",
            Content.assemble(Content(found.label), self._tone(f"  {rows}{more} · {self._age(found.created)}", "muted")),
        )

    def _training(self, overview: Overview) -> Content:
        run = overview.run
        if run is None:
            return self._line("Training", self._tone("no run yet", "muted"))
        tone = {"finished": "good", "failed": "bad", "running": "next"}.get(run.state, "muted")
        steps = f"step {run.step}/{run.total_steps}" if run.total_steps else ""
        loss = f"loss {run.loss:.3f}" if run.loss is not None else ""
        rest = " · ".join(part for part in (steps, loss, self._age(run.created)) if part)
        return self._line(
            "Training",
            Content.assemble(Content(run.title + "  "), self._tone(run.state, tone), self._tone(f"  {rest}", "muted")),
        )

    def _adapters(self, overview: Overview) -> Content:
        if not overview.adapters:
            return self._line("Adapters", self._tone("none yet", "muted"))
        more = f"  and {len(overview.adapters) - 1} more" if len(overview.adapters) > 1 else ""
        served = f" · in production: {', '.join(overview.production)}" if overview.production else ""
        return self._line(
            "Adapters", Content.assemble(Content(overview.adapters[0]), self._tone(more + served, "muted"))
        )

    def _report(self, overview: Overview) -> Content:
        report = overview.report
        if report is None:
            return self._line("Verify", self._tone("not compared yet", "muted"))
        score = f"fine-tune {report.tuned}/{report.answers}, baseline {report.baseline}/{report.answers}"
        tone = "good" if report.tuned > report.baseline else "bad"
        rest = f"  {report.tuned_name} · {self._age(report.created)}"
        return self._line("Verify", Content.assemble(self._tone(score, tone), self._tone(rest, "muted")))

    def _age(self, seconds: float) -> str:
        return f"{age(int(seconds * 1000), self._now)} ago"

    def _line(self, name: str, text: Content, tone: str = "name") -> Content:
        return Content.assemble(self._tone(fit(name, _NAME), tone), text)

    def _tone(self, text: str, tone: str) -> Content:
        return Content.styled(text, self.get_visual_style(f"pipeline--{tone}"))
