"""What there is to build from, per language, against a profile's target."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from lora_tui.curation import examples
from lora_tui.curation.examples import UNLABELLED, Counts
from lora_tui.dataset import versions
from lora_tui.dataset.model import Dataset
from lora_tui.tui.safe_text import fit, one_line
from lora_tui.tui.widgets.live_lines import Line, Piece, bar
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile, load_profile, profile_paths

_LANGUAGE, _NUMBER = 12, 11
_MOST = 7  # language lines in a small window


class Supply(msgspec.Struct, frozen=True):
    """The workspace's examples and versions, and the profile they are held against (None without any)."""

    counts: Counts
    datasets: tuple[Dataset, ...]
    profiles: tuple[str, ...]
    profile: Profile | None

    @property
    def languages(self) -> tuple[str, ...]:
        """The profile's languages; all that there are when it names none."""
        if self.profile is not None and self.profile.data.languages:
            return self.profile.data.languages
        return tuple(self.counts.by_language)

    @property
    def accepted(self) -> int:
        """Accepted examples of those languages."""
        return sum(self.counts.of("accept", language) for language in self.languages)

    @property
    def name(self) -> str:
        """A sensible name for the next dataset: the profile's language."""
        if self.profile is None:
            return "all"
        found = self.profile.data.languages
        return found[0] if len(found) == 1 else self.profile.name


def read(workspace: Workspace, profile: str) -> Supply:
    """Count and list. `profile` '': that of the newest version, else the one with the most accepted examples.

    Raises BadInput when the profile's file is damaged.
    """
    names = tuple(profile_paths(workspace))
    datasets = tuple(versions.versions(workspace))
    counts = examples.counts(workspace)
    newest = datasets[0].manifest.profile if datasets else ""
    chosen = next((name for name in (profile, newest) if name in names), "") or _fitting(workspace, names, counts)
    return Supply(
        counts=counts,
        datasets=datasets,
        profiles=names,
        profile=load_profile(workspace, chosen) if chosen else None,
    )


def _fitting(workspace: Workspace, names: Sequence[str], counts: Counts) -> str:
    accepted: dict[str, int] = {}
    for name in names:
        try:
            languages = load_profile(workspace, name).data.languages
        except LoraTuiError:
            continue
        accepted[name] = sum(counts.of("accept", language) for language in languages)
    return max(accepted, key=lambda name: accepted[name], default="")


def supply_lines(supply: Supply, roomy: bool, width: int) -> Sequence[Line]:
    """The profile, a heading, and a line per language; the profile's own languages first."""
    profile = supply.profile
    lines: list[Line] = []
    if profile is not None:
        wanted = ", ".join(profile.data.languages) or "any language"
        target = f", {profile.data.target:,} wanted" if profile.data.target else ""
        head: list[Piece] = [("profile ", "muted"), (profile.name, "strong"), (f"  {wanted}{target}", "")]
        left = width - sum(len(text) for text, _ in head) - 4
        if left > 12:
            head.append(("  " + fit(one_line(profile.description), left), "muted"))
        lines.append(head)
    heads = ("found", "to look at", "skipped", "rejected", "accepted")
    lines.append([(fit("language", _LANGUAGE) + "".join(fit(head, _NUMBER, right=True) for head in heads), "muted")])
    own = set(profile.data.languages) if profile is not None else set()
    rows = sorted(
        set(supply.counts.by_language) | own,
        key=lambda item: (item not in own, item in ("none", "mixed"), -_found(supply.counts, item), item),
    )
    most = 30 if roomy else _MOST
    lines += [_language(supply, item, item in own, width) for item in rows[:most]]
    if len(rows) > most:
        lines.append([(f"and {len(rows) - most} more", "muted")])
    if len(own) > 1:
        lines.append(_numbers("together", [0, 0, 0, 0, supply.accepted], width, profile.data.target if profile else 0))
    return lines


def _found(counts: Counts, language: str) -> int:
    return sum(counts.by_language.get(language, {}).values())


def _language(supply: Supply, language: str, own: bool, width: int) -> Line:
    counts = supply.counts
    shown = (UNLABELLED, "skip", "reject", "accept")
    numbers = [_found(counts, language)] + [counts.of(item, language) for item in shown]
    target = supply.profile.data.target if own and supply.profile is not None else 0
    return _numbers(language, numbers, width, target)


def _numbers(name: str, numbers: Sequence[int], width: int, target: int) -> Line:
    line: list[Piece] = [(fit(name, _LANGUAGE), "")]
    line += [
        (fit(f"{number:,}" if number else "·", _NUMBER, right=True), "" if number else "faint") for number in numbers
    ]
    if target:
        share = numbers[-1] / target
        said = f" {min(999, int(100 * share))} %"
        room = min(40, width - _LANGUAGE - len(numbers) * _NUMBER - 2 - len(said))
        line += [("  ", ""), *bar(share, max(3, room), "good" if share >= 1 else "primary"), (said, "muted")]
    return line
