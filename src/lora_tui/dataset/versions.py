"""Dataset versions on disk: datasets/<name>/<n>/, immutable and hashed. Making, listing, finding, reading."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from lora_tui.curation.redact_rules import switched_off
from lora_tui.dataset import build as building
from lora_tui.dataset.describe import sha256
from lora_tui.dataset.draft import draft
from lora_tui.dataset.earlier_versions import earlier
from lora_tui.dataset.model import REJECTED_FILE, Dataset, Manifest, Rejected
from lora_tui.dataset.safe_capture import without_secrets
from lora_tui.dataset.stored import lines
from lora_tui.sources.opencode.capture import load_capture
from lora_tui.workspace import toml
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Data

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
EVERYTHING = Data()
MANIFEST = "manifest.toml"

_rejected = msgspec.json.Decoder(Rejected)


def build(
    workspace: Workspace,
    name: str,
    data: Data = EVERYTHING,
    *,
    shares: tuple[int, int, int] = (80, 10, 10),
    seed: int = 42,
    profile: str = "",
    progress: Callable[[int, int], None] | None = None,
    check: Callable[[Path], None] = lambda folder: None,
) -> Dataset:
    """Make the next version of `name` from the accepted examples; the folder appears whole or not at all.

    progress: examples gone through, of how many. check: looks at the written rows; what it raises is raised here, and
    no version is made. Raises BadInput when the name, the shares or the capture cannot be
    used or no example passes, LoraTuiError where the disk cannot take it.
    """
    checked_name(name)
    if sum(shares) != 100 or min(shares) < 0:
        raise BadInput(f"the split {'/'.join(map(str, shares))} does not add up to 100")
    if data.capture and data.shape == "plain":
        raise BadInput("a plain row has no place for an agent's prompt and tools", fix="Leave out `capture`.")
    capture = without_secrets(load_capture(workspace, data.capture), switched_off(workspace)) if data.capture else None
    asked = building.Asked(data, shares, seed, capture, earlier(workspace.datasets / name))

    def fill(folder: Path) -> Manifest:
        manifest = building.fill(workspace, folder, asked, progress)
        check(folder)
        return manifest

    return make(workspace, name, fill, profile)


def make(workspace: Workspace, name: str, fill: Callable[[Path], Manifest], profile: str = "") -> Dataset:
    """Make the next version of `name` of what `fill` writes into a folder: there whole or not at all.

    fill returns the manifest; name, number and profile are put into it. Raises BadInput for a name that cannot be
    used, LoraTuiError where the disk cannot take it.
    """
    checked_name(name)
    with draft(workspace.datasets / name) as making:
        manifest = fill(making.folder)
        with making.numbered() as number:
            manifest = msgspec.structs.replace(manifest, name=name, version=number, profile=profile)
            (making.folder / MANIFEST).write_text(toml.dump(manifest))
    return Dataset(folder=workspace.datasets / name / str(number), manifest=manifest)


def checked_name(name: str) -> None:
    """Raises BadInput where a dataset cannot be called so."""
    if not _NAME.fullmatch(name):
        raise BadInput(f"{name!r} cannot name a dataset", fix="Use small letters, digits, dots and dashes.")


def versions(workspace: Workspace) -> list[Dataset]:
    """Every dataset version that can be read, newest first."""
    found = []
    for path in workspace.datasets.glob(f"*/*/{MANIFEST}"):
        if path.parent.name.isdigit():
            try:
                found.append(opened(path.parent))
            except LoraTuiError:
                continue
    return sorted(found, key=lambda item: (item.manifest.created, item.manifest.version), reverse=True)


def unreadable(workspace: Workspace) -> dict[str, str]:
    """The versions whose manifest cannot be read, as name@number, and why."""
    found = {}
    for folder in sorted(workspace.datasets.glob("*/*")):
        if folder.name.isdigit() and folder.is_dir():
            try:
                opened(folder)
            except LoraTuiError as error:
                found[f"{folder.parent.name}@{folder.name}"] = str(error).replace("\n", ": ")
    return found


def opened(folder: Path) -> Dataset:
    """The version in a folder, in this workspace or another. Raises BadInput where there is none to be read."""
    path = folder / MANIFEST
    if not path.is_file():
        raise BadInput("there is no dataset version", where=str(folder), fix=f"Name the folder that holds {MANIFEST}.")
    given = toml.read(path)
    recipe = given.get("recipe")
    if isinstance(recipe, dict):  # a profile's unknown key is a mistake, a manifest's one of another release
        given["recipe"] = {key: value for key, value in recipe.items() if key in Data.__struct_fields__}
    return Dataset(folder=folder, manifest=toml.convert(given, Manifest, path))


def find(workspace: Workspace, label: str) -> Dataset:
    """The version called 'rust@2', or the newest of 'rust'. Raises BadInput."""
    name, _, number = label.partition("@")
    matching = [item for item in versions(workspace) if item.manifest.name == name]
    if number:
        matching = [item for item in matching if str(item.manifest.version) == number]
    if not matching:
        known = ", ".join(item.label for item in versions(workspace)) or "none yet"
        raise BadInput(f"there is no dataset {label!r}", fix=f"Known: {known}. Make one with `lora-tui dataset build`.")
    return max(matching, key=lambda item: item.manifest.version)


def rejected(dataset: Dataset) -> Iterator[Rejected]:
    """What was left out, in the order of the file. Raises BadInput with the line that cannot be read."""
    path = dataset.folder / REJECTED_FILE
    if path.is_file():
        yield from lines(path, _rejected, "a rejected example")


def damaged_files(dataset: Dataset) -> list[str]:
    """The files whose content is no longer what the manifest says."""
    return [
        name
        for name, known in dataset.manifest.files.items()
        if not (dataset.folder / name).is_file() or sha256(dataset.folder / name) != known
    ]
