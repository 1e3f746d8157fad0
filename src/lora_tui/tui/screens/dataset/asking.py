"""What is asked before a version is made, taken in, written out or compared."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from lora_tui.dataset.model import SPLITS, Dataset
from lora_tui.dataset.shares import Shares, shares
from lora_tui.tui.screens.dataset.supply import Supply
from lora_tui.tui.screens.dialogs.ask import AskDialog
from lora_tui.tui.screens.dialogs.choose import ChooseDialog
from lora_tui.tui.screens.dialogs.confirm import ConfirmDialog
from lora_tui.tui.stage import Stage
from lora_tui.tui.wording import many
from lora_tui.workspace.errors import BadInput

_FOR = {
    "messages": "with tools and weights: TRL, Together",
    "sharegpt": "from and value: LLaMA-Factory, Axolotl",
    "chatml": "text with ChatML marks",
    "alpaca": "instruction, input, output; a line each",
    "alpaca-array": "the same as one JSON array",
    "prompt-completion": "what is given and what is learned: TRL",
    "parquet": "a table for `datasets`",
}


_SPLIT = "80/10/10"


def name_and_split(stage: Stage, found: Supply, then: Callable[[str, Shares], None]) -> None:
    """Ask what the next version is called and how it is divided. `then` may raise BadInput, as may what was typed."""
    confidence = found.profile.data.min_confidence if found.profile is not None else 0.0
    sure = f", the machine at least {confidence:.0%} sure of the language," if confidence else ""
    question = (
        f"{many(found.accepted, 'accepted example')} of {', '.join(found.languages)}{sure} become a version of:\n\n"
        f"(split {_SPLIT}; for another one write it behind the name, as in {found.name} 70/15/15)"
    )

    def named(text: str) -> None:
        name, split = _parted(text)
        then(name, shares(split or _SPLIT))

    stage.ask(AskDialog("Build a dataset", question, found.name), named)


def file_and_name(stage: Stage, then: Callable[[Path, str, Shares | None], None]) -> None:
    """Ask for a file or folder, then for a name."""
    where = (
        "A file of conversations, or a folder with a file for each split: messages, ShareGPT, ChatML, Alpaca or "
        "prompt/completion, as JSONL, a JSON array or Parquet."
    )

    def placed(text: str) -> None:
        path = Path(text).expanduser()
        if not path.exists():
            raise BadInput("there is no such file or folder", where=str(path), fix="Give what is to be imported.")
        proposal = re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-") or "imported"
        split = "" if path.is_dir() else f"\n\n(all in train; to split it write {_SPLIT} behind the name)"
        question = f"{path.name} becomes a version of:{split}"
        stage.ask(AskDialog("Import a dataset", question, proposal), partial(named, path))

    def named(path: Path, text: str) -> None:
        name, split = _parted(text)
        then(path, name, shares(split) if split else None)

    stage.ask(AskDialog("Import a dataset", where), placed)


def _parted(text: str) -> tuple[str, str]:
    """A name and the split behind it, '' where there is none."""
    name, space, split = text.rpartition(" ")
    return (name.strip(), split) if space and "/" in split else (text, "")


def format_and_folder(stage: Stage, dataset: Dataset, then: Callable[[str, Path, bool], None]) -> None:
    """Ask for both; `then` gets them, and whether to replace what is there, unless a dialog is closed."""
    from lora_tui.dataset.formats.formats import FORMATS

    def chosen(format: str) -> None:
        proposal = str(Path.cwd() / f"{dataset.manifest.name}-{dataset.manifest.version}-{format}")
        question = f"{dataset.label} as {format}: each split becomes a file in this folder."
        stage.ask(AskDialog("Export", question, proposal), partial(placed, format))

    def placed(format: str, text: str) -> None:
        folder = Path(text).expanduser()
        there = sorted(path.name for path in folder.glob("*") if path.stem in SPLITS) if folder.is_dir() else []
        if there:
            question = f"{folder} has {', '.join(there)} already. Replace them?"
            stage.ask(ConfirmDialog("Export", question, "replace"), lambda agreed: then(format, folder, True))
        else:
            then(format, folder, False)

    choices = [(name, f"{name:18} {_FOR.get(name, '')}".rstrip()) for name in FORMATS]
    stage.ask(ChooseDialog("Export as", choices, "messages"), chosen)


def another_version(
    stage: Stage, current: Dataset, others: Sequence[Dataset], then: Callable[[Dataset, Dataset], None]
) -> None:
    """Ask for one; `then` gets both, the older first. Versions of the same name stand first."""
    named = {item.label: item for item in others}
    same = [item for item in others if item.manifest.name == current.manifest.name]
    older = [item.label for item in same if item.manifest.version < current.manifest.version]

    def chosen(label: str) -> None:
        first, second = sorted((current, named[label]), key=lambda item: (item.manifest.created, item.manifest.version))
        then(first, second)

    choices = [(item.label, item.label) for item in [*same, *(item for item in others if item not in same)]]
    stage.ask(ChooseDialog(f"{current.label} and", choices, older[0] if older else ""), chosen)
