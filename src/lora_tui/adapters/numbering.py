"""Which number a new version gets: semantic versioning of what an adapter promises to those who use it.

MAJOR: another base, revision, tokenizer, chat template or other target modules. MINOR: other weights under the same
contract. PATCH: the same weights again.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from lora_tui.adapters.base_facts import identity
from lora_tui.adapters.metadata import Metadata
from lora_tui.workspace.errors import BadInput

_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


def check_version(version: str) -> None:
    """Raises BadInput for what is no version."""
    if not _VERSION.fullmatch(version):
        raise BadInput(f"{version!r} is no version", fix="Write MAJOR.MINOR.PATCH, as in 1.2.0.")


def order(version: str) -> tuple[int, ...]:
    """A version as numbers that sort."""
    return tuple(int(part) for part in re.findall(r"\d+", version))


def next_version(new: Metadata, known: Collection[Metadata], removed: Iterable[str] = ()) -> str:
    """The number of `new` among the versions `known` of its name; a removed one's number is never given again."""
    taken = [*(order(item.version) for item in known), *map(order, removed)]
    like = [item for item in known if same_contract(new, item)]
    if not like:
        return f"{max((number[0] for number in taken), default=0) + 1}.0.0"
    again = [item for item in like if new.weights_sha256 and item.weights_sha256 == new.weights_sha256]
    if again:
        major, minor = max(order(item.version) for item in again)[:2]
        return f"{major}.{minor}.{max(number[2] for number in taken if number[:2] == (major, minor)) + 1}"
    before = [item for item in like if f"{item.name}@{item.version}" in new.parents] or like
    major = max(order(item.version) for item in before)[0]
    return f"{major}.{max(number[1] for number in taken if number[0] == major) + 1}.0"


def same_contract(one: Metadata, other: Metadata) -> bool:
    """Whether who uses the one can use the other in the same way; what is not known of either does not differ."""
    (base, commit), (other_base, other_commit) = identity(one.base), identity(other.base)
    pairs = (
        (one.base_revision or commit, other.base_revision or other_commit),
        (one.tokenizer_hash, other.tokenizer_hash),
        (one.template_hash, other.template_hash),
        (one.target_modules, other.target_modules),
    )
    return base == other_base and all(left == right for left, right in pairs if left and right)
