"""Where the models answer: at an address that is given, else where `lora-tui serve` has them, else where it would."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

from lora_tui.adapters.serving import llama_cpp, sets
from lora_tui.adapters.serving.sets import Served
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace


class Server(msgspec.Struct, frozen=True):
    """`url` ends in /v1. What the server does not say of itself is empty."""

    url: str
    routes: bool = True  # it knows the model `auto`, and adapters by their names
    base_name: str = ""
    context: int = 0  # most tokens of a request
    most: int = 0  # the same where the base may take fewer
    names: tuple[str, ...] = ()  # the adapters it serves
    served: dict[str, str] = {}  # adapter -> what it is called there, where that is not its name
    notes: tuple[str, ...] = ()


def server(workspace: Workspace, url: str = "", adapters: Sequence[str] = ()) -> Server:
    """The server that settings are to name; of several served sets the one that serves all of `adapters`.

    Raises BadInput for an address that is none, and where several sets would do.
    """
    if url:
        return Server(url=address(url))
    alive = [one for one in sets.alive(workspace) if one.state is not None and one.state.url]
    wanted = {name.partition("@")[0] for name in adapters}
    fitting = [one for one in alive if one.state is not None and wanted <= one.state.names.keys()]
    if len(fitting) > 1:
        known = ", ".join(f"{one.set.name} ({one.state.url})" for one in fitting if one.state is not None)
        raise BadInput(f"{len(fitting)} sets are served: say which with --url", fix=f"Served: {known}.")
    if fitting:
        return _alive(fitting[0])
    earlier = [one for one in sets.served(workspace) if one.set.route and one.set.port]
    port = earlier[0].set.port if len(earlier) == 1 else sets.DEFAULT_PORT
    at = f"http://127.0.0.1:{port}/v1"
    what = "No served set has these adapters" if alive else "Nothing is served now"
    notes = (f"{what}: {at} is written, where `lora-tui serve BASE --adapter NAME --route` answers.",)
    if len(earlier) == 1:
        return _of(earlier[0], Server(url=at, notes=notes))
    return Server(url=at, notes=notes)


def _alive(one: Served) -> Server:
    state = one.state
    assert state is not None
    found = _of(one, Server(url=state.url, names=tuple(sorted(state.names))))
    if one.set.route:
        return found
    if one.set.engine == "llama-cpp":
        note = f"{one.set.name} has no router: at its address the base alone answers. Serve it with --route."
        return msgspec.structs.replace(found, routes=False, notes=(note,))
    note = f"{one.set.name} has no router: versions are written, so apply again after a promotion."
    return msgspec.structs.replace(found, routes=False, served=dict(state.names), notes=(note,))


def _of(one: Served, found: Server) -> Server:
    """With what a set says of its base and of the longest request."""
    most = llama_cpp.CONTEXT if one.set.engine == "llama-cpp" else 0
    return msgspec.structs.replace(found, base_name=one.set.base_name, context=one.set.context, most=most)


def address(text: str) -> str:
    """An OpenAI-compatible address with the /v1 that clients expect. Raises BadInput."""
    parts = urlsplit(text.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput(f"{text!r} is no address", fix="As in http://127.0.0.1:8484/v1")
    if parts.username or parts.password:
        raise BadInput("an address with a password in it is not written into a file", fix="Use --key-env NAME.")
    if parts.query or parts.fragment:
        raise BadInput(f"{text!r} is more than an address", fix="As in http://127.0.0.1:8484/v1")
    return text.strip().rstrip("/") + ("" if parts.path.strip("/") else "/v1")
