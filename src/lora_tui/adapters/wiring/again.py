"""Writing again what stands in opencode's settings already: as it was asked for, with what is served now.

Behind a router a model's name outlives a promotion and there is nothing to write. A server without one knows versions
alone: then each model's name there is the version that is in production now.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from lora_tui.adapters.serving import sets
from lora_tui.adapters.wiring import places, record
from lora_tui.adapters.wiring.places import Place
from lora_tui.adapters.wiring.plan import Plan, make
from lora_tui.adapters.wiring.record import Record
from lora_tui.adapters.wiring.wanted import Wanted
from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.layout import Workspace


def standing(workspace: Workspace, adapter: str) -> list[Record]:
    """The changes that stand and name the adapter, the newest of each place."""
    newest = {one.place: one for one in record.records(workspace)}
    return [one for one in newest.values() if adapter in one.adapters]


def again(workspace: Workspace, made: Record) -> tuple[Plan, Wanted]:
    """What that change would write now. Raises BadInput where it cannot be told, or the files cannot be changed."""
    if made.wanted is None:
        raise BadInput(
            "what was to stand there is not written down", where=made.config, fix="Once: lora-tui opencode apply"
        )
    wanted = _with_served(made.wanted, _names(workspace, made.url))
    return make(workspace, _place(made), wanted), wanted


def _with_served(wanted: Wanted, names: dict[str, str]) -> Wanted:
    models = tuple(
        msgspec.structs.replace(model, served=names[model.name]) if model.served and model.name in names else model
        for model in wanted.models
    )
    return msgspec.structs.replace(wanted, models=models)


def _names(workspace: Workspace, url: str) -> dict[str, str]:
    """{adapter: label} as the server at this address has them; empty where no set is served there."""
    for one in sets.alive(workspace):
        if one.state is not None and one.state.url == url:
            return dict(one.state.names)
    return {}


def _place(made: Record) -> Place:
    kind, _, where = made.place.partition(" ")
    if kind == places.PROJECT:
        return places.project_place(Path(where))
    if kind == "file":
        return places.file_place(Path(where), Path(where).parent)
    return places.global_place(Path.cwd())
