"""What a base says of itself on this machine: commit, tokenizer, chat template, licence.

A folder of the Hugging Face cache is models--OWNER--NAME/snapshots/COMMIT; refs/main there names the newest commit.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Any

import msgspec

_SNAPSHOT = re.compile(r".*/models--(?P<owner>[^/]+?)--(?P<name>[^/]+)/snapshots/(?P<commit>[0-9a-f]{40})/?")
_TOKENIZERS = (("tokenizer.json",), ("tokenizer.model",), ("vocab.json", "merges.txt"))  # the first that is whole
_COMMIT = re.compile(r"[0-9a-f]{40}")
_MOST = 1 << 20  # characters of a card that are read


class BaseFacts(msgspec.Struct, frozen=True):
    """Empty where it is not known."""

    revision: str = ""  # commit
    tokenizer_hash: str = ""
    template_hash: str = ""
    licence: str = ""


def facts(base: str, adapter: Path | None = None, revision: str = "") -> BaseFacts:
    """What is known of a base (a folder or a Hugging Face id) without asking anyone.

    A tokenizer or template that lies in the adapter's folder was trained with and counts before the base's.
    """
    folder = folder_of(base, revision)
    places = [place for place in (adapter, folder) if place is not None]
    commit = identity(str(folder))[1] or identity(base)[1] or revision
    if folder is not None and not commit:
        commit = str(_json(folder / "config.json").get("_commit_hash") or "")
    return BaseFacts(
        revision=commit,
        tokenizer_hash=next((found for place in places if (found := _tokenizer(place))), ""),
        template_hash=next((found for place in places if (found := _template(place))), ""),
        licence=licence(folder) if folder is not None else "",
    )


def identity(base: str) -> tuple[str, str]:
    """Id and commit of a folder of the Hugging Face cache; anything else is its own name, without a commit."""
    found = _SNAPSHOT.fullmatch(base)
    return (f"{found['owner']}/{found['name']}", found["commit"]) if found else (base, "")


def short_name(base: str) -> str:
    """What clients call a base: the last part of its id or folder, of characters that a model's name may have."""
    last = Path(identity(base)[0]).name.removesuffix(".gguf")
    return re.sub(r"[^A-Za-z0-9._-]+", "-", last).strip("-._") or "base"


def folder_of(base: str, revision: str = "") -> Path | None:
    """The folder of a base that is on this machine, of a Hugging Face id its snapshot in the cache; else None."""
    if not base:
        return None
    folder = Path(os.path.expanduser(base))
    if folder.is_dir():
        return folder
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    cache = Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub").expanduser()
    repository = cache / f"models--{base.replace('/', '--')}"
    try:
        commit = revision if _COMMIT.fullmatch(revision) else (repository / "refs" / (revision or "main")).read_text()
    except (OSError, UnicodeDecodeError):
        return None
    commit = commit.strip()
    found = repository / "snapshots" / commit
    return found if commit and found.is_dir() else None


def licence(folder: Path) -> str:
    """What the front matter of a model's card says, as in `license: apache-2.0`."""
    front = front_matter(folder / "README.md")
    named = front.get("license_name") if front.get("license") == "other" else None
    found = named or front.get("license") or ""
    return " ".join(map(str, found)) if isinstance(found, list) else str(found)


def front_matter(card: Path) -> dict[str, Any]:
    """The YAML between the first two lines `---` of a model card; empty where there is none."""
    import yaml

    try:
        with card.open(errors="replace") as file:
            text = file.read(_MOST)
        found = re.match(r"---\r?\n(.*?)\r?\n---\s", text + "\n", re.DOTALL)
        front = yaml.safe_load(found[1]) if found else None
    except (OSError, yaml.YAMLError):
        return {}
    return front if isinstance(front, dict) else {}


def _tokenizer(folder: Path) -> str:
    for names in _TOKENIZERS:
        paths = [folder / name for name in names]
        if all(path.is_file() for path in paths):
            whole = hashlib.sha256()
            for path in paths:
                whole.update(path.read_bytes())
            return whole.hexdigest()
    return ""


def _template(folder: Path) -> str:
    """The template's text, wherever it lies, so that moving it from one file into another changes nothing."""
    if (folder / "chat_template.jinja").is_file():
        text: object = (folder / "chat_template.jinja").read_bytes().decode(errors="replace")
    else:
        config = _json(folder / "tokenizer_config.json")
        text = config.get("chat_template") or _json(folder / "chat_template.json").get("chat_template")
    if not text:
        return ""
    return hashlib.sha256((text if isinstance(text, str) else msgspec.json.encode(text).decode()).encode()).hexdigest()


def _json(path: Path) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(path.read_bytes())
    except (OSError, UnicodeDecodeError, msgspec.DecodeError):
        return {}
    return found if isinstance(found, dict) else {}
