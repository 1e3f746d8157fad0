"""README.md of a version: a model card for people, with the front matter that the Hugging Face Hub reads.

Fields: the Hub's "Model Cards" documentation; PEFT's own cards have base_model, library_name and the same tags.
"""

from __future__ import annotations

import time

from lora_tui.adapters.base_facts import identity
from lora_tui.adapters.metadata import Metadata

CARD = "README.md"


def card(metadata: Metadata) -> str:
    """The whole text."""
    parts = [
        _front(metadata),
        f"# {metadata.name} {metadata.version}",
        _about(metadata),
        _facts(metadata),
        _forgetting(metadata),
        metadata.note,
        _use(metadata),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front(metadata: Metadata) -> str:
    import yaml

    base, _ = identity(metadata.base)
    published = "" if base.startswith(("/", ".", "~")) else base  # a folder of one's own is no id
    front: dict[str, object] = {"base_model": published or None, "library_name": "peft"}
    if metadata.licence:
        front["license"] = metadata.licence
    merged = ["merge"] if metadata.strategy else []
    front["tags"] = [*([f"base_model:adapter:{published}"] if published else []), "lora", *merged, *metadata.tags]
    filled = {key: value for key, value in front.items() if value is not None}
    return f"---\n{yaml.safe_dump(filled, sort_keys=False, allow_unicode=True)}---"


def _about(metadata: Metadata) -> str:
    made = f"A LoRA adapter (r {metadata.r}, alpha {metadata.lora_alpha:g}) for `{metadata.base or 'an unnamed base'}`"
    if metadata.strategy:
        merged = ", ".join(f"{item.label} × {item.weight:g}" for item in metadata.sources)
        return f"{made}, merged by lora-tui from {merged} with the strategy `{metadata.strategy}`."
    if metadata.dataset:
        return (
            f"{made}, trained by lora-tui for {metadata.steps} steps on the dataset {metadata.dataset} "
            f"with the profile `{metadata.profile}`."
        )
    return f"{made}."


def _facts(metadata: Metadata) -> str:
    losses = [
        f"{word} {value:.4f}"
        for word, value in (("training", metadata.loss), ("validation", metadata.eval_loss))
        if value is not None
    ]
    settings = ", ".join(f"{key} {value}" for key, value in metadata.strategy_settings.items())
    rows = (
        ("base revision", metadata.base_revision),
        ("target modules", ", ".join(metadata.target_modules)),
        ("parameters", f"{metadata.parameters:,}" if metadata.parameters else ""),
        ("goes on from" if not metadata.strategy else "parents", ", ".join(metadata.parents)),
        ("rows", "only those that its parents had not seen" if metadata.new_rows_only else ""),
        ("loss", ", ".join(losses)),
        ("merge settings", settings),
        ("truncation error", f"{metadata.error:.2%} of the norm" if metadata.error is not None else ""),
        ("dataset hash", metadata.dataset_hash),
        ("tokenizer", metadata.tokenizer_hash),
        ("chat template", metadata.template_hash),
        ("weights", metadata.weights_sha256),
        ("created", time.strftime("%Y-%m-%d", time.gmtime(metadata.created))),
        ("licence of the base", metadata.licence),
    )
    told = [f"| {key} | {value} |" for key, value in rows if value]
    return "\n".join(["| what | |", "|---|---|", *told])


def _forgetting(metadata: Metadata) -> str:
    if metadata.general_loss is None or metadata.general_loss_before is None:
        return ""
    return (
        f"Loss on held general conversations: {metadata.general_loss_before:.3f} before, "
        f"{metadata.general_loss:.3f} after, in nats per token."
    )


def _use(metadata: Metadata) -> str:
    base = identity(metadata.base)[0] or "BASE"
    return (
        "## Use\n\n```python\nfrom peft import PeftModel\nfrom transformers import AutoModelForCausalLM\n\n"
        f"base = AutoModelForCausalLM.from_pretrained({base!r})\n"
        'model = PeftModel.from_pretrained(base, "this folder")\n```\n\n'
        f"`vllm serve {base} --enable-lora --lora-modules {metadata.name}=FOLDER` serves it as it is."
    )
