"""What opencode is to know: a provider with its models, and an agent for each specialist, in the shapes of 1 and 2.

opencode 2 reads the shape of 1 too, unless the file has a provider of the same name in its own shape; so that shape is
written only into a file that uses it. What is written of a model and why: without `limit.output` opencode asks for
32,000 tokens, without `limit.context` it never compacts, without `temperature` it sends none.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Shape = Literal["v1", "v2"]

SCHEMA = "https://opencode.ai/config.json"
PACKAGE = "@ai-sdk/openai-compatible"
AUTO = "auto"


class Model(msgspec.Struct, frozen=True):
    """A model as opencode lists it, with the tokens it takes and gives. `served`: its name at the server if another."""

    name: str
    title: str
    context: int
    output: int
    served: str = ""


class Agent(msgspec.Struct, frozen=True):
    """A specialist as an agent: it answers with `model`; an empty prompt leaves opencode's own."""

    name: str
    description: str
    model: str
    prompt: str = ""


class Wanted(msgspec.Struct, frozen=True):
    """Everything that is to stand in the settings. `key_variable`: the environment variable of the server's key."""

    provider: str
    title: str
    url: str  # ends in /v1
    models: tuple[Model, ...]
    agents: tuple[Agent, ...]
    key_variable: str = ""


def providers_key(shape: Shape) -> str:
    """Under which key providers stand."""
    return "provider" if shape == "v1" else "providers"


def agents_key(shape: Shape) -> str:
    """Under which key agents stand."""
    return "agent" if shape == "v1" else "agents"


def provider_block(wanted: Wanted, shape: Shape) -> dict[str, Any]:
    """The provider as opencode reads it. The key's name stands there, never the key."""
    options = {"baseURL": wanted.url}
    if wanted.key_variable:
        options["apiKey"] = f"{{env:{wanted.key_variable}}}"
    models = {model.name: _model(model, shape) for model in wanted.models}
    if shape == "v2":
        return {"name": wanted.title, "package": f"aisdk:{PACKAGE}", "settings": options, "models": models}
    return {"npm": PACKAGE, "name": wanted.title, "options": options, "models": models}


def agent_block(agent: Agent, shape: Shape) -> dict[str, Any]:
    """An agent inside the settings, for a file that has no folder of agents beside it."""
    block = {"description": agent.description, "mode": "all", "model": agent.model}
    if agent.prompt:
        block["prompt" if shape == "v1" else "system"] = agent.prompt
    return block


def shape_of(settings: Any) -> Shape:
    """The shape that a file's settings use; of one that says nothing, the one that both versions read."""
    if not isinstance(settings, dict):
        return "v1"
    native = {"providers", "agents"} & settings.keys()
    return "v2" if native and not {"provider", "agent"} & settings.keys() else "v1"


def _model(model: Model, shape: Shape) -> dict[str, Any]:
    limit = {"context": model.context, "output": model.output}
    name = {"name": model.title} | ({"id" if shape == "v1" else "modelID": model.served} if model.served else {})
    if shape == "v2":
        capabilities = {"tools": True, "input": ["text"], "output": ["text"]}
        return {**name, "capabilities": capabilities, "limit": limit}
    return {**name, "tool_call": True, "temperature": True, "limit": limit}
