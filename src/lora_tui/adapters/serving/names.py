"""What a model's name means now: which version answers for it. Read once per request, so no answer has two.

A name means its production version, or during a trial for a share of its conversations the candidate. `NAME@VERSION` is
that version, `auto` the specialist of the request's language, everything else unknown.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from lora_tui.adapters.serving import routing
from lora_tui.adapters.serving.engine import BASE
from lora_tui.adapters.serving.routing import AUTO, Decision

_REMEMBERED = 20_000  # conversations
_HEADERS = ("x-conversation-id", "x-session-id", "x-opencode-session", "x-session-affinity")
CHOSEN = "x-lora-tui-adapter"  # a request's header that names the adapter whatever the model is


class Trial(msgspec.Struct, frozen=True):
    """An A/B: `percent` of a name's conversations go to `version`."""

    version: str
    percent: float


class Resolved(msgspec.Struct, frozen=True):
    """The version that answers a request (BASE: the base), the name it stands for, and why."""

    version: str
    name: str
    reason: str
    evidence: str = ""  # words of the request


class Names:
    """In memory, changed only between two requests."""

    def __init__(self, base_name: str, current: Mapping[str, str], *, pin: bool = False) -> None:
        self.base_name = base_name
        self.current = dict(current)  # name -> label
        self.trials: dict[str, Trial] = {}
        self.specialists: dict[str, str] = {}  # language -> name
        self._pin = pin  # a conversation stays with the version it began with
        self._chosen: OrderedDict[str, str] = OrderedDict()  # conversation -> name that `auto` chose
        self._pinned: OrderedDict[tuple[str, str], str] = OrderedDict()  # conversation and name -> label

    def switch(self, name: str, label: str) -> None:
        """From the next request on `name` means `label`; a trial of that version is over."""
        self.current[name] = label
        if self.trials.get(name, Trial("", 0)).version == label:
            del self.trials[name]

    def listed(self, loaded: Iterable[str]) -> list[str]:
        """Every model a client may ask for."""
        return [AUTO, self.base_name, *sorted(self.current), *sorted(loaded)]

    def used(self, name: str) -> set[str]:
        """The versions that requests for `name` may reach."""
        found = {label for (_, one), label in self._pinned.items() if one == name}
        trial = self.trials.get(name)
        return found | {self.current[name]} | ({trial.version} if trial else set())

    def forget(self, label: str) -> None:
        """Conversations are pinned to it no more: it is being unloaded."""
        for key in [key for key, pinned in self._pinned.items() if pinned == label]:
            del self._pinned[key]

    def resolve(
        self, model: str, body: Mapping[str, Any], headers: Mapping[str, str], loaded: Iterable[str]
    ) -> Resolved | None:
        """Who answers; None for a name that nobody has."""
        asked = headers.get(CHOSEN) or model or self.base_name
        conversation = _conversation(body, headers)
        reason, evidence = "header" if headers.get(CHOSEN) else "name", ""
        if asked == AUTO:
            decision = self._decide(body, conversation)
            asked, evidence = decision.name or self.base_name, decision.evidence
            reason = f"auto, {decision.kind}" + (f", {decision.language}" if decision.language else "")
        if asked == self.base_name:
            return Resolved(BASE, self.base_name, reason, evidence)
        if asked in self.current:
            label, more = self._version_of(asked, conversation)
            return Resolved(label, asked, reason + more, evidence)
        if asked in loaded:
            return Resolved(asked, asked.partition("@")[0], reason)
        name, _, alias = asked.partition("@")
        if name in self.current and alias == "production":
            return Resolved(self.current[name], name, reason)
        return None

    def _version_of(self, name: str, conversation: str) -> tuple[str, str]:
        key = (conversation, name)
        if self._pin and key in self._pinned:
            self._pinned.move_to_end(key)
            return self._pinned[key], ", pinned"
        label, reason, trial = self.current[name], "", self.trials.get(name)
        if trial is not None and _share(conversation, name, trial.version) < trial.percent:
            label, reason = trial.version, f", {trial.percent:g} % on trial"
        if self._pin:
            _remember(self._pinned, key, label)
        return label, reason

    def _decide(self, body: Mapping[str, Any], conversation: str) -> Decision:
        messages = body.get("messages")
        if not isinstance(messages, list):
            return routing.choose_for_text(str(body.get("prompt") or ""), self.specialists)
        messages = [one for one in messages if isinstance(one, dict)]
        goes_on = any(one.get("role") == "assistant" for one in messages)
        if goes_on and self._chosen.get(conversation) in self.current:  # another adapter would have to read it all anew
            self._chosen.move_to_end(conversation)
            return Decision(self._chosen[conversation], "conversation")
        decision = routing.choose(messages, self.specialists)
        if decision.name:
            _remember(self._chosen, conversation, decision.name)
        else:
            self._chosen.pop(conversation, None)
        return decision


def _remember(kept: OrderedDict[Any, str], key: Any, value: str) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > _REMEMBERED:
        kept.popitem(last=False)


def _share(conversation: str, name: str, version: str) -> float:
    """0 … 100, the same for a conversation at every request: where it falls in a trial."""
    digest = hashlib.blake2b(f"{name}\0{version}\0{conversation}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64 * 100


def _conversation(body: Mapping[str, Any], headers: Mapping[str, str]) -> str:
    """What tells a conversation from others: what the client says, else how it begins (a hash; nothing is kept)."""
    for name in _HEADERS:
        if headers.get(name):
            return headers[name]
    if isinstance(key := body.get("prompt_cache_key"), str) and key:
        return key
    messages = body.get("messages")
    if isinstance(messages, list):
        begun: list[Any] = []
        for message in messages:
            if isinstance(message, dict):
                begun.append(message.get("content"))
                if message.get("role") == "user":
                    break
    else:
        begun = [body.get("prompt")]
    return hashlib.blake2b(msgspec.json.encode(begun), digest_size=16).hexdigest()
