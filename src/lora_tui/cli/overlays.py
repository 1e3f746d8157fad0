"""`--preset` and `--set`: what is laid over a profile for one command."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click
import msgspec

from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile, load_profile, sanity


class Overlay(msgspec.Struct, frozen=True):
    """What a person laid over the profile they named: presets first, then settings, each in their order."""

    presets: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()

    def load(self, workspace: Workspace, name: str, *, backend: str = "local") -> Profile:
        """The profile called `name` with all of it. Raises BadInput, also for what cannot be together in it."""
        found = load_profile(workspace, name, presets=self.presets, settings=self.settings, backend=backend)
        sanity.refuse(found)
        return found


def overlay_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--preset` and `--set`; it gets them as `overlay`."""

    @click.option(
        "--preset", "presets", multiple=True, metavar="NAME", help="quick, stable or your own, over the profile."
    )
    @click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="Another value for a key of the profile, as in lora.r=32; again for more.",
    )
    @wraps(command)
    def with_overlay(*arguments: Any, presets: tuple[str, ...], settings: tuple[str, ...], **rest: Any) -> Any:
        return command(*arguments, overlay=Overlay(presets=presets, settings=settings), **rest)

    return with_overlay
