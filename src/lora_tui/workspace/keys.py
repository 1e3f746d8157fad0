"""Keys of services: from the environment or the system's keyring, never from a file, never shown.

A key is held as `Key`, whose text is only had by asking for it; `hidden` takes every key that was read out of words
that go into an error, a journal or a log.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from lora_tui.workspace.errors import BadInput

_KEYRING = "lora-tui"  # the service under which `keyring set lora-tui NAME` keeps one
_SHOWN = "<key>"
_known: set[str] = set()


class Key:
    """A secret. Printing it, or anything that holds it, shows nothing of it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text
        _known.add(text)

    def reveal(self) -> str:
        """The key itself, for the request that needs it."""
        return self._text

    def __repr__(self) -> str:
        return _SHOWN

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("a key is not written anywhere")


def key(name: str, fix: str = "") -> Key:
    """The key in the environment variable `name`, else in the keyring. Raises BadInput where neither has it."""
    text = os.environ.get(name, "").strip() or _in_keyring(name)
    if not text:
        raise BadInput(f"no key: ${name} is not set", fix=fix or f"export {name}=… or: keyring set {_KEYRING} {name}")
    if not text.isprintable() or not text.isascii() or " " in text:
        raise BadInput(f"${name} holds characters that no key has", fix="Set it again, without line breaks.")
    return Key(text)


def has_key(name: str) -> bool:
    """Whether there is one, without saying which."""
    return bool(os.environ.get(name, "").strip() or _in_keyring(name))


def hidden(words: str, more: Sequence[str] = ()) -> str:
    """`words` without any key that this process has read, nor any of `more`."""
    for text in sorted({*_known, *more}, key=len, reverse=True):
        if text:
            words = words.replace(text, _SHOWN)
    return words


def hidden_so_far(words: str) -> str:
    """The beginning of words that are still coming, without any key and without an end that one may begin with."""
    begun = max((n for text in _known for n in range(1, len(text)) if words.endswith(text[:n])), default=0)
    return hidden(words[: len(words) - begun])


def _in_keyring(name: str) -> str:
    try:
        import keyring  # an optional library: most hosts have none
    except ImportError:
        return ""
    try:
        return str(keyring.get_password(_KEYRING, name) or "")
    except Exception:  # a keyring without a desktop session raises what it likes
        return ""
