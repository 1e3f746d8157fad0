"""What other clients are to be told, as text to copy. No file is written, and no key is in it: only its variable."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from lora_tui.adapters.wiring.wanted import SCHEMA, Wanted, agent_block, provider_block
from lora_tui.workspace.errors import BadInput

OLLAMA = "http://localhost:11434/v1"
TOGETHER = "https://api.together.ai/v1"
TOGETHER_KEY = "TOGETHER_API_KEY"


def settings(wanted: Wanted, client: str) -> str:
    """The settings for `client`, one of CLIENTS. Raises BadInput for another."""
    if client not in CLIENTS:
        raise BadInput(f"nothing is known of {client!r}", fix=f"Known: {', '.join(CLIENTS)}.")
    return CLIENTS[client](wanted)


def _key(wanted: Wanted, without: str = "none") -> str:
    return f'"${wanted.key_variable}"' if wanted.key_variable else without


def _first(wanted: Wanted) -> str:
    """What the server calls the first specialist."""
    names = {model.name: model.served or model.name for model in wanted.models}
    return names[wanted.agents[0].name]


def _opencode(wanted: Wanted) -> str:
    whole: dict[str, Any] = {"$schema": SCHEMA, "provider": {wanted.provider: provider_block(wanted, "v1")}}
    whole["agent"] = {agent.name: agent_block(agent, "v1") for agent in wanted.agents}
    return json.dumps(whole, indent=2, ensure_ascii=False)


def _openai(wanted: Wanted) -> str:
    names = "\n".join(f"#   {model.served or model.name}  ({model.context:,} tokens)" for model in wanted.models)
    return f"export OPENAI_BASE_URL={wanted.url}\nexport OPENAI_API_KEY={_key(wanted)}\n# models:\n{names}"


def _aider(wanted: Wanted) -> str:
    sizes = {
        f"openai/{model.served or model.name}": {
            "max_input_tokens": model.context,
            "max_output_tokens": model.output,
            "litellm_provider": "openai",
            "mode": "chat",
        }
        for model in wanted.models
    }
    first = _first(wanted)
    return (
        f"export OPENAI_API_BASE={wanted.url}\nexport OPENAI_API_KEY={_key(wanted)}\naider --model openai/{first}\n\n"
        f"# .aider.model.metadata.json, beside the repository or in your home:\n{json.dumps(sizes, indent=2)}"
    )


def _ollama(wanted: Wanted) -> str:
    most = max(model.context for model in wanted.models)
    names = "\n".join(f"#   {agent.name}" for agent in wanted.agents)
    return (
        "# Ollama cuts a prompt to its own window without a word: start it with one that holds an agent's.\n"
        f"export OLLAMA_CONTEXT_LENGTH={most}\nollama serve\n\n"
        f"# clients\nexport OPENAI_BASE_URL={OLLAMA}\nexport OPENAI_API_KEY=ollama  # any word\n"
        f"# models, as `ollama list` names them (`lora-tui export ollama` makes them):\n{names}\n\n"
        f"# opencode\nlora-tui opencode apply --url {OLLAMA} --no-auto --no-base"
    )


def _together(wanted: Wanted) -> str:
    names = "\n".join(f"#   {agent.name}" for agent in wanted.agents)
    return (
        f'export OPENAI_BASE_URL={TOGETHER}\nexport OPENAI_API_KEY="${TOGETHER_KEY}"\n'
        "# models: the full names that these adapters' endpoints have there (`lora-tui together endpoints`):\n"
        f"{names}\n\n# opencode\nlora-tui opencode apply --url {TOGETHER} --key-env {TOGETHER_KEY} --no-auto --no-base "
        f"--as {wanted.agents[0].name}=OWNER/NAME"
    )


def _curl(wanted: Wanted) -> str:
    body = json.dumps({"model": _first(wanted), "messages": [{"role": "user", "content": "Say ok."}]})
    header = f' \\\n  -H "Authorization: Bearer ${wanted.key_variable}"' if wanted.key_variable else ""
    return f"curl {wanted.url}/chat/completions -H 'Content-Type: application/json'{header} \\\n  -d '{body}'"


CLIENTS: dict[str, Callable[[Wanted], str]] = {
    "opencode": _opencode,
    "openai": _openai,
    "aider": _aider,
    "ollama": _ollama,
    "together": _together,
    "curl": _curl,
}
