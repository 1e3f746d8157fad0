"""Where a service is asked: its own address, or another one from the environment that a key may be sent to."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from lora_tui.workspace.errors import BadInput

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def service_address(name: str, default: str) -> str:
    """$`name`, else `default`, without a slash at its end. Raises BadInput for one that a key must not be sent to."""
    address = (os.environ.get(name, "").strip() or default).rstrip("/")
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.username or parts.password)
        _ = parts.port
    except ValueError:
        usable = False
    if not usable:
        raise BadInput(f"${name} is no usable address", fix=f"Write it as {default}, without a user or password.")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise BadInput(f"${name} would send the key in the clear", fix="Use https://, or this machine itself.")
    return address
