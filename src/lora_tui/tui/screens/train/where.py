"""Where to train: the ways of a plan as a line each, and as choices."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from lora_tui.backends.compare import words
from lora_tui.backends.compare.way import Comparison, Way
from lora_tui.backends.compare.ways import compare
from lora_tui.dataset.model import Dataset
from lora_tui.tui.safe_text import fit, one_line
from lora_tui.tui.widgets.live_lines import Line
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile, load_profile
from lora_tui.workspace.profiles.schema import Backend

HERE = "local"
_NAME = 12  # cells of what stands left of every line
_ROOMY = 90  # cells, from which the GPU is named too
_FITS = {None: "fits?", True: "fits", False: "too small"}
_ELSEWHERE: tuple[Backend, ...] = ("together", "rented")


def ways(
    workspace: Workspace, profile: Profile, dataset: Dataset, presets: Sequence[str] = (), *, live: bool = False
) -> Comparison:
    """Compare them; what a person changed to make the run fit here holds here alone. Raises LoraTuiError."""
    profiles: dict[Backend, Profile] = {"local": profile}
    for backend in _ELSEWHERE:
        profiles[backend] = load_profile(workspace, profile.name, presets=presets, backend=backend)
    return compare(workspace, profiles, dataset, live=live)


def lines(found: Comparison | LoraTuiError | None, chosen: str, width: int) -> list[Line]:
    """A line for each way, the chosen one marked; why there are none; nothing before they are known."""
    if found is None:
        return []
    if isinstance(found, LoraTuiError):
        return [[(fit("where", _NAME), "muted"), (fit(one_line(found.what), width - _NAME).rstrip(), "warn")]]
    return [_line(way, way.name == chosen, not number, width) for number, way in enumerate(found.ways)]


def _line(way: Way, chosen: bool, first: bool, width: int) -> Line:
    gpu = "" if width < _ROOMY or way.gpu == "?" else one_line(way.gpu)
    rest = f"{fit(words.training_time(way), 11)}{fit(words.training_cost(way), 12)}{fit(_served(way), 18)}{gpu}"
    return [
        (fit("where" if first else "", _NAME), "muted"),
        (f"{'●' if chosen else ' '} {fit(one_line(way.name), 12)}", "primary" if chosen else ""),
        (fit(_FITS[way.fits], 10), words.tone(way)),
        (fit(rest, width - _NAME - 24).rstrip(), "" if way.cost.known else "muted"),
    ]


def _served(way: Way) -> str:
    return f"then {words.money(way.serving)}/h" if way.serving.known else "then unknown"


HEAD = "the way       time        training     set-up"


def options(found: Comparison) -> Sequence[tuple[str, str]]:
    """What can be chosen, as (name, text)."""
    return [(way.name, _option(way)) for way in found.ways]


def _option(way: Way) -> str:
    return _columns(way.name, words.training_time(way), words.training_cost(way), _ready(way))


def _columns(name: str, time: str, cost: str, rest: str) -> str:
    return f"{fit(one_line(name), 13)} {fit(time, 11)} {fit(cost, 12)} {rest}"


def _ready(way: Way) -> str:
    return f"first: {one_line(way.setup[0]).partition(': ')[0]}" if way.setup else "ready"


def page(workspace: Workspace, profile: Profile, dataset: Dataset, presets: Sequence[str], width: int) -> str:
    """Every way in full with its arithmetic, in lines of `width`; live prices are asked for."""
    found = ways(workspace, profile, dataset, presets, live=True)
    above = "\n".join(line for text in (words.head(found), words.foot(found)) for line in textwrap.wrap(text, width))
    return f"{above}\n\n{words.in_full(found, explain=True, width=width)}"


def profile_for(workspace: Workspace, way: Way, name: str, presets: Sequence[str] = ()) -> Profile:
    """The profile as the backend of a way has it."""
    backend: Backend = "together" if way.backend == "together" else "rented"
    return load_profile(workspace, name, presets=presets, backend=backend)
