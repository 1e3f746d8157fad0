"""Whether a version's files are what was built: before it is counted, and before anything is trained on it."""

from __future__ import annotations

from lora_tui.dataset import versions
from lora_tui.dataset.model import Dataset
from lora_tui.workspace.errors import BadInput


def check_intact(dataset: Dataset) -> None:
    """Raises BadInput when the dataset's files are not what was built."""
    if changed := versions.damaged_files(dataset):
        name = dataset.manifest.name
        raise BadInput(
            f"the dataset {dataset.label} was changed since it was built: {', '.join(changed)}",
            where=str(dataset.folder),
            fix=f"Build its next version: lora-tui dataset build {name}",
        )
