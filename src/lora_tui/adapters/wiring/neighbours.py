"""What else opencode reads beside the file that is changed: who wins, and what stands there under the same names."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from lora_tui.adapters.wiring import contents
from lora_tui.adapters.wiring.jsonc import parse
from lora_tui.adapters.wiring.places import Place, target
from lora_tui.adapters.wiring.wanted import Wanted
from lora_tui.workspace.errors import BadInput, LoraTuiError

INLINE = "OPENCODE_CONFIG_CONTENT"  # settings in the environment: they win over every file


def notes(
    place: Place,
    wanted: Wanted,
    ours: Collection[str],
    *,
    replace: bool = False,
    environment: Mapping[str, str] = os.environ,
) -> Iterator[str]:
    """What a person should know of the other settings. ours: the files that lora-tui wrote to.

    Raises BadInput where one has a provider of the same name that is not ours, unless that is to be replaced.
    """
    if not place.is_read:
        yield f"opencode reads this file when told to: export OPENCODE_CONFIG={place.config}"
    for path in place.layers:
        if path == place.config:
            continue
        try:
            root = parse(contents.text_of(contents.read(path) or b"", path), path)
        except LoraTuiError as error:
            yield f"opencode reads {path} too, which it cannot: {error.what} ({error.where})."
            continue
        settings = _object(root.plain if root is not None else None)
        is_ours = str(target(path)) in ours
        if _has_provider(settings, wanted) and not is_ours:
            only_with_replace(wanted.provider, str(path), replace)
        yield from _said(str(path), settings, place, wanted, wins=path in place.over, is_ours=is_ours)
    if inline := environment.get(INLINE, "").strip():
        try:
            root = parse(inline)
        except BadInput as error:
            yield f"${INLINE} cannot be read: {error.what} ({error.where})."
            return
        settings = _object(root.plain if root is not None else None)
        yield from _said(f"${INLINE}", settings, place, wanted, wins=True, is_ours=False)


def _said(
    source: str, settings: dict[str, Any], place: Place, wanted: Wanted, *, wins: bool, is_ours: bool
) -> Iterator[str]:
    name = wanted.provider
    said = [f"has a provider {name!r} too"] if _has_provider(settings, wanted) and not is_ours else []
    enabled, disabled = settings.get("enabled_providers"), settings.get("disabled_providers")
    if wins and isinstance(enabled, list) and name not in enabled:
        said.append(f"enables other providers only: add {name!r} to its enabled_providers")
    agents = {**_object(settings.get("agent")), **_object(settings.get("agents"))}
    said += [f"has an agent {agent.name!r} too" for agent in wanted.agents if agent.name in agents]
    if wins or said:
        relation = "wins over" if wins else "is read before"
        yield " and ".join([f"{source} {relation} {place.config}", *said]) + "."
    if isinstance(disabled, list) and name in disabled:
        yield f"{source} disables the provider {name!r}: opencode will not offer its models."


def only_with_replace(provider: str, where: str, replace: bool) -> None:
    """Raises BadInput for a provider that is not ours, unless it is to be replaced."""
    if not replace:
        raise BadInput(
            f"there is a provider {provider!r} already that lora-tui did not write",
            where=where,
            fix="Take another name with --provider NAME, or put ours in its place with --replace.",
        )


def _has_provider(settings: dict[str, Any], wanted: Wanted) -> bool:
    return any(wanted.provider in _object(settings.get(key)) for key in ("provider", "providers"))


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
