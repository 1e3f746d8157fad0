"""The folders shipped beside the code: profiles/ and themes/."""

from __future__ import annotations

from pathlib import Path


def shipped(kind: str) -> Path:
    """The folder of shipped files of one kind ("profiles" or "themes").

    A wheel carries them as lora_tui/data/<kind>; an editable install reads the repository's own folder.
    """
    package = Path(__file__).resolve().parents[1]
    inside = package / "data" / kind
    return inside if inside.is_dir() else package.parents[1] / kind
