"""What is asked before a version goes out or is compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from textual.app import App

from lora_tui.dataset.model import Dataset
from lora_tui.tui.screens.dialogs.ask import AskDialog
from lora_tui.tui.screens.dialogs.choose import ChooseDialog

_FOR = {
    "messages": "OpenAI messages with tools and weights: TRL, Together",
    "sharegpt": "conversations of from and value: LLaMA-Factory, Axolotl",
    "chatml": "text with ChatML marks",
    "alpaca": "instruction, input, output; a line each",
    "alpaca-array": "the same as one JSON array",
    "prompt-completion": "what is given and what is learned: TRL",
    "parquet": "a table for `datasets`",
}


def format_and_folder(app: App[None], dataset: Dataset, then: Callable[[str, Path], None]) -> None:
    """Ask for both; `then` gets them unless a dialog is closed."""
    from lora_tui.dataset.formats.formats import FORMATS

    def chosen(format: str | None) -> None:
        if format is not None:
            proposal = str(Path.cwd() / f"{dataset.manifest.name}-{dataset.manifest.version}-{format}")
            question = f"{dataset.label} as {format}: each split becomes a file in this folder."
            app.push_screen(AskDialog("Export", question, proposal), partial(placed, format))

    def placed(format: str, folder: str | None) -> None:
        if folder:
            then(format, Path(folder).expanduser())

    choices = [(name, f"{name:18} {_FOR.get(name, '')}".rstrip()) for name in FORMATS]
    app.push_screen(ChooseDialog("Export as", choices, "messages"), chosen)


def another_version(
    app: App[None], current: Dataset, others: Sequence[Dataset], then: Callable[[Dataset, Dataset], None]
) -> None:
    """Ask for one; `then` gets both, the older first. Versions of the same name stand first."""
    named = {item.label: item for item in others}
    same = [item for item in others if item.manifest.name == current.manifest.name]
    older = [item.label for item in same if item.manifest.version < current.manifest.version]

    def chosen(label: str | None) -> None:
        if label is not None:
            first, second = sorted(
                (current, named[label]), key=lambda item: (item.manifest.created, item.manifest.version)
            )
            then(first, second)

    choices = [(item.label, item.label) for item in [*same, *(item for item in others if item not in same)]]
    app.push_screen(ChooseDialog(f"{current.label} and", choices, older[0] if older else ""), chosen)
