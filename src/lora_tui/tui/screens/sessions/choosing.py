"""The filter's dialogs: a language, an order, and every condition that has no key of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from lora_tui.curation import facets, orders
from lora_tui.curation.examples import Counts
from lora_tui.curation.facets import Facet
from lora_tui.tui.safe_text import one_line
from lora_tui.tui.screens.dialogs.choose import ChooseDialog
from lora_tui.tui.screens.sessions.filters import View

if TYPE_CHECKING:
    from textual.app import App

    from lora_tui.workspace.layout import Workspace

Chosen = Callable[[View], None]

_SWITCHES = {
    "secrets": "something was redacted",
    "disagree": "rules and written code disagree about the language",
    "near_duplicates": "there are near-duplicates of it",
    "has_note": "it has a note",
}
_FACETS: dict[Facet, str] = {
    "outcomes": "how it went",
    "models": "which model wrote the answers",
    "agents": "which agent",
    "tags": "tag",
    "licences": "licence",
    "directory": "folder",
    "dropped": "no candidates: why they were dropped",
}


def choose_language(app: App[Any], view: View, counts: Counts, chosen: Chosen) -> None:
    """One of the languages that occur."""
    totals = {language: sum(by.values()) for language, by in counts.by_language.items()}
    choices = [("", f"any language  {counts.total:,}")]
    choices += [
        (language, f"{language:<12} {number:>8,} · {counts.of('accept', language):,} accepted")
        for language, number in sorted(totals.items(), key=lambda item: -item[1])
    ]
    now = view.filter.languages[0] if view.filter.languages else ""
    _ask(app, "Language", choices, now, lambda language: chosen(view.of_language(language)))


def choose_order(app: App[Any], view: View, chosen: Chosen) -> None:
    """One of the orders."""
    choices = [(str(order), orders.WORDS[order]) for order in orders.ORDERS]
    _ask(app, "Order", choices, view.order, lambda order: chosen(view.in_order(cast(orders.Order, order))))


def choose_facet(app: App[Any], view: View, workspace: Workspace, chosen: Chosen) -> None:
    """A condition, then its value; a switch that is on goes off."""

    def facet_chosen(name: str) -> None:
        if name in _SWITCHES:
            chosen(view.narrowed(**{name: not getattr(view.filter, name)}))
        else:
            _choose_value(app, view, workspace, cast(Facet, name), chosen)

    choices = [
        (str(name), f"{words}: {now}" if (now := _set(view, name)) else words) for name, words in _FACETS.items()
    ]
    choices += [(name, ("✓ " if getattr(view.filter, name) else "  ") + words) for name, words in _SWITCHES.items()]
    _ask(app, "Only those where", choices, "outcomes", facet_chosen)


def _choose_value(app: App[Any], view: View, workspace: Workspace, facet: Facet, chosen: Chosen) -> None:
    now = getattr(view.filter, facet)
    single = isinstance(now, str)
    found = facets.values(workspace, facet)
    choices = [("", "any" if facet != "dropped" else "candidates only")]
    choices += [(value, f"{one_line(value)}  {number:,}") for value, number in found]

    def value_chosen(value: str) -> None:
        chosen(view.narrowed(**{facet: value if single else (value,) if value else ()}))

    _ask(app, _FACETS[facet].capitalize(), choices, now if single else next(iter(now), ""), value_chosen)


def _set(view: View, name: str) -> str:
    value = getattr(view.filter, name)
    return value if isinstance(value, str) else ", ".join(value)


def _ask(app: App[Any], title: str, choices: list[tuple[str, str]], now: str, chosen: Callable[[str], object]) -> None:
    def answered(value: str | None) -> None:
        if value is not None:
            chosen(value)

    app.push_screen(ChooseDialog(title, choices, now), answered)
