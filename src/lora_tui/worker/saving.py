"""The adapter on disk."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


def save_adapter(model: Any, base: str, path: Path, beside: Callable[[Path], None] = lambda folder: None) -> None:
    """The adapter in PEFT's layout, with what `beside` puts into its folder, which appears only when it is complete."""
    model.peft_config["default"].base_model_name_or_path = base
    draft = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        draft.chmod(0o755)
        model.save_pretrained(draft)
        (draft / "README.md").unlink(missing_ok=True)  # PEFT's empty card
        beside(draft)
        for file in draft.iterdir():
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
        os.rename(draft, path)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
