"""Attached files: text inside a `data:` URL is scanned like any other; what cannot be read as text is left out."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from urllib.parse import quote, unquote_to_bytes

import msgspec

from lora_tui.sources.model import FilePart


def safe_file(part: FilePart, redact: Callable[[str], str]) -> FilePart:
    """The file with placeholders in its name and content; the very same one when nothing was found.

    A content that is no text (a PDF, say) cannot be looked through: an empty one takes its place.
    """
    name = redact(part.file.filename)
    data = _content(part.file.file_data, redact)
    if name == part.file.filename and data == part.file.file_data:
        return part
    return FilePart(msgspec.structs.replace(part.file, filename=name, file_data=data))


def _content(url: str, redact: Callable[[str], str]) -> str:
    if not url.startswith("data:"):
        return redact(url)
    head, comma, body = url.partition(",")
    in_base64 = head.endswith(";base64")
    try:
        text = (base64.b64decode(body, validate=True) if in_base64 else unquote_to_bytes(body)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return head + comma
    safe = redact(text)
    if safe == text:
        return url
    return head + comma + (base64.b64encode(safe.encode()).decode() if in_base64 else quote(safe))
