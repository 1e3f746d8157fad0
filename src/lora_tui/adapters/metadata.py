"""metadata.toml: what made an adapter version, and by what its content is known."""

from __future__ import annotations

import re

import msgspec

from lora_tui.workspace.errors import BadInput
from lora_tui.workspace.profiles import Lora

METADATA = "metadata.toml"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # it names a folder, and a model in every server
_FILES = ("aliases.json", "tags.json")  # they lie beside the adapters' folders


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One adapter of a merge, and how much of it."""

    label: str  # coder@1.2.0, or the folder it was
    weight: float


class Metadata(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is known of a version. Every key but the name may be missing: older releases wrote fewer.

    `registry.add` fills in what it can read off the draft: the version, hashes, r, target_modules, parameters, the
    base's revision, hashes and licence.
    """

    name: str
    version: str = ""  # MAJOR.MINOR.PATCH; empty until the registry numbers it
    created: float = 0.0  # epoch seconds
    base: str = ""  # a folder or a Hugging Face id
    base_revision: str = ""  # the base's commit; empty where it is not known
    tokenizer_hash: str = ""  # SHA-256 of the tokenizer's vocabulary and rules
    template_hash: str = ""  # SHA-256 of the chat template
    profile: str = ""
    dataset: str = ""
    dataset_hash: str = ""
    run: str = ""  # id of the run that made it; a run makes one version
    steps: int = 0
    r: int = 0
    lora_alpha: float = 0
    target_modules: tuple[str, ...] = ()  # sorted; empty where they are not known
    parameters: int = 0  # weights of all A and B
    weights_sha256: str = ""
    config_sha256: str = ""  # of adapter_config.json with sorted keys and lists: PEFT writes sets in any order
    loss: float | None = None
    eval_loss: float | None = None
    seconds: float = 0.0
    lora: Lora | None = None  # how it was made; what goes on from it must be the same
    parents: tuple[str, ...] = ()  # the versions it went on from, or was merged from
    new_rows_only: bool = False  # it was trained on the rows alone that its parents had not seen
    general_loss_before: float | None = None  # on held general conversations, in nats per token
    general_loss: float | None = None  # the same after training
    general_kl: float | None = None  # mean KL per token from what was before to this adapter, on the same
    licence: str = ""  # the base's, as its card names it
    tags: tuple[str, ...] = ()  # what it was made for; later ones lie beside the aliases
    sources: tuple[Source, ...] = ()  # of a merge
    strategy: str = ""  # of a merge
    strategy_settings: dict[str, str | int | float] = {}
    errors: dict[str, float] = {}  # module: relative truncation error of a merge
    error: float | None = None  # the same of all modules together
    made_with: str = ""  # the release of lora-tui that registered it
    note: str = ""


def check_name(name: str) -> None:
    """Raises BadInput for what cannot be an adapter's name."""
    if name.casefold() in _FILES:
        raise BadInput(f"an adapter cannot be called {name!r}: a file of the registry is", fix="Choose another name.")
    if not _NAME.fullmatch(name):
        raise BadInput(f"{name!r} is no name for an adapter", fix="Use letters, digits, '.', '_' and '-'.")
