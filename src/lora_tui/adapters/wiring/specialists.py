"""From adapters to what opencode is to know of them: model names that outlive a promotion, and an agent for each."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from lora_tui.adapters.base_facts import short_name
from lora_tui.adapters.registry import Adapter, Metadata
from lora_tui.adapters.wiring.wanted import AUTO, Agent, Model, Wanted
from lora_tui.backends.shape import config_file
from lora_tui.dataset import versions
from lora_tui.workspace.errors import BadInput, LoraTuiError
from lora_tui.workspace.layout import Workspace
from lora_tui.workspace.profiles import Profile, load_profile

PROVIDER = "lora"
BUILT_IN = frozenset({"build", "plan", "general", "explore"})  # agents that opencode brings
CONTEXT = 32_768  # tokens, where nothing says how many the base takes
OUTPUT = 8_192
_PROVIDER = re.compile(r"[a-z0-9][a-z0-9_-]*")  # what stands before a model's first '/'
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")


def chosen(found: Sequence[Adapter], names: Sequence[str], profiles: Sequence[str]) -> list[Adapter]:
    """The newest version of each adapter that is named, or made by a profile that is; of all without a name.

    The version only says what the adapter is for: the name alone is written. Raises BadInput.
    """
    newest: dict[str, Adapter] = {}
    for one in found:  # newest first
        newest.setdefault(one.metadata.name, one)
    wanted = {name.partition("@")[0] for name in names}
    for profile in profiles:
        made = {one.metadata.name for one in newest.values() if one.metadata.profile == profile}
        if not made:
            raise BadInput(f"no adapter was made by the profile {profile!r}", fix="See `lora-tui adapters list`.")
        wanted |= made
    unknown = sorted(wanted - newest.keys())
    if unknown:
        known = ", ".join(sorted(newest)) or "none yet"
        raise BadInput(f"there is no adapter {unknown[0]!r}", fix=f"Known: {known}.")
    if not newest:
        raise BadInput("there is no adapter yet", fix="`lora-tui train PROFILE --dataset NAME` makes one.")
    return [newest[name] for name in sorted(wanted or newest)]


def context_of(base: str) -> int:
    """How many tokens a base takes, of its config.json on this machine; 0 where that is not known."""
    path = config_file(base)
    try:
        config = json.loads(path.read_bytes()) if path is not None else {}
    except (OSError, ValueError):
        return 0
    text = config.get("text_config") or {}
    found = config.get("max_position_embeddings") or text.get("max_position_embeddings") or 0
    return found if isinstance(found, int) and found > 0 else 0


def wanted_of(
    workspace: Workspace,
    adapters: Sequence[Adapter],
    *,
    url: str,
    base_name: str = "",
    provider: str = PROVIDER,
    context: int = 0,
    most: int = 0,
    output: int = 0,
    key_variable: str = "",
    auto: bool = True,
    base: bool = True,
    served: Mapping[str, str] | None = None,
    prompt: str = "",
) -> tuple[Wanted, list[str]]:
    """The provider, its models (`auto`, the base, every adapter) and the agents; and what was taken for granted.

    context, output: tokens; 0 takes what the base says, but not more than `most` where that is set. Adapters of several
    bases make a model of each base. served: what the server calls an adapter where that is not its name. Raises
    BadInput for names that cannot be.
    """
    if not _PROVIDER.fullmatch(provider):
        raise BadInput(f"{provider!r} is no name for a provider", fix="Small letters, digits, '_' and '-'.")
    if key_variable and not _VARIABLE.fullmatch(key_variable):
        raise BadInput(
            "--key-env takes the name of an environment variable, as in GPU_KEY",
            fix="The key itself stays out of files.",
        )
    served = served or {}
    if unknown_names := sorted(served.keys() - {one.metadata.name for one in adapters}):
        raise BadInput(f"{unknown_names[0]!r} is none of the adapters", fix="As in --as build-rust=OWNER/NAME.")
    notes = []
    bases = list(dict.fromkeys(one.metadata.base for one in adapters))
    sizes = {one: context or context_of(one) for one in bases}
    if most:
        sizes = {one: min(size, most) if size else most for one, size in sizes.items()}
    if unknown := [one for one in bases if not sizes[one]]:
        notes.append(f"How many tokens {unknown[0]} takes is not known here: {CONTEXT:,} are written (--context N).")

    def model(name: str, title: str, of: str) -> Model:
        size = sizes[of] or CONTEXT
        at_server = served.get(name, "")
        return Model(name, title, size, min(output or min(OUTPUT, size // 4), size), at_server)

    if own := sorted(BUILT_IN & {one.metadata.name for one in adapters}):
        notes.append(f"{own[0]!r} is an agent of opencode's own: what is written of it takes its place.")
    names = [base_name] if base_name and len(bases) == 1 else [short_name(one) for one in bases]
    models = [model(name, f"{name} (base)", of) for name, of in zip(names, bases, strict=True)] if base else []
    models += [model(one.metadata.name, f"{one.metadata.name} (LoRA)", one.metadata.base) for one in adapters]
    if auto:
        smallest = min(bases, key=lambda one: sizes[one] or CONTEXT)
        models.insert(0, model(AUTO, "The specialist of the request's language", smallest))
    if len({one.name for one in models}) < len(models):
        raise BadInput("an adapter has the name of the base, or is called auto", fix="Name the base with --base-name.")
    return (
        Wanted(
            provider=provider,
            title="lora-tui",
            url=url,
            models=tuple(models),
            agents=tuple(_agent(workspace, one, provider, prompt) for one in adapters),
            key_variable=key_variable,
        ),
        notes,
    )


def _agent(workspace: Workspace, adapter: Adapter, provider: str, prompt: str) -> Agent:
    """The prompt: as given; else none where the adapter learned from a captured agent's own, else a short one.

    What a model was not trained with does not help it, and opencode's own prompt takes some 2,500 tokens of a window.
    """
    about = adapter.metadata
    profile = _profile(workspace, about.profile)
    languages = ", ".join(profile.data.languages) if profile is not None else ""
    subject = languages or (profile.description if profile is not None else "") or about.name
    description = f"{languages.capitalize()} specialist" if languages else subject
    if not prompt and not _has_captured_prompt(workspace, about, profile):
        prompt = (
            f"You are a coding agent and a specialist for {subject}. Do what is asked with the tools you have, keep to "
            "the style of the code around it, and check your work by building it or running its tests."
        )
    return Agent(about.name, f"{description} (LoRA adapter {about.name})", f"{provider}/{about.name}", prompt)


def _has_captured_prompt(workspace: Workspace, about: Metadata, profile: Profile | None) -> bool:
    """Whether it was trained on rows that begin with a captured agent's own prompt."""
    try:
        return bool(versions.find(workspace, about.dataset).manifest.capture_hash)
    except LoraTuiError:  # the dataset was made elsewhere, or removed
        return profile is not None and bool(profile.data.capture)


def _profile(workspace: Workspace, name: str) -> Profile | None:
    try:
        return load_profile(workspace, name)
    except LoraTuiError:
        return None
