"""Which adapter is for which language, so that `auto` can choose."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from lora_tui.adapters import registry, tags
from lora_tui.curation.language_rules import rules
from lora_tui.workspace.errors import LoraTuiError
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import load_profile


def specialists(workspace: Workspace, labels: Iterable[str], said: Mapping[str, str]) -> dict[str, str]:
    """Language -> name. First what the person said, then tags, the profile's languages, and the name (build-rust).

    The first of two for one language keeps it.
    """
    found = {_language(language): name for language, name in said.items()}
    for label in labels:
        item = registry.find(workspace, label)
        for language in _languages(workspace, item):
            found.setdefault(language, item.metadata.name)
    return found


def _languages(workspace: Workspace, item: registry.Adapter) -> list[str]:
    tagged = [known for tag in tags.tags(workspace, item) if (known := _language(tag)) in rules().table.language]
    if tagged:
        return tagged
    if item.metadata.profile:
        try:
            languages = load_profile(workspace, item.metadata.profile).data.languages
        except LoraTuiError:
            languages = ()
        if languages:
            return [_language(one) for one in languages]
    words = re.split(r"[-_.]", item.metadata.name.lower())
    return [known for word in words if (known := _language(word)) in rules().table.language]


def _language(word: str) -> str:
    """A language as the tables call it: rs is rust."""
    return rules().by_fence.get(word.lower(), word.lower())
