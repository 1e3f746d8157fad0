"""Our labels are TRL's, token by token, for the templates it knows."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest

from mask_families import TOOLS, Messages, Talker, tokenizer_for, uses_tools

pytestmark = pytest.mark.engine

CONVERSATIONS = 220


def anything(messages: Messages) -> bool:
    """Every conversation."""
    return True


def thinks_once(messages: Messages) -> bool:
    """One request, or no thought: thoughts of earlier requests are left out when another request follows."""
    return _requests(messages) == 1 or not any("reasoning_content" in message for message in messages)


def thinks_and_works_once(messages: Messages) -> bool:
    """Nemotron also trims what was said beside calls of earlier requests."""
    return _requests(messages) == 1 or (thinks_once(messages) and not uses_tools(messages))


def silent_calls(messages: Messages) -> bool:
    """Nothing is said beside calls: Gemma puts it after the results."""
    return thinks_once(messages) and not any("tool_calls" in item and item["content"] for item in messages)


def thoughtless_calls(messages: Messages) -> bool:
    """Nor thought: GPT-OSS drops either once there is an answer."""
    return silent_calls(messages) and not any("tool_calls" in item and "reasoning_content" in item for item in messages)


def whole_ends(messages: Messages) -> bool:
    """Of a last character of several tokens transformers marks only the first where a block ends with the words."""
    return silent_calls(messages) and all(item["content"].strip()[-1:].isascii() for item in messages)


def one_step(messages: Messages) -> bool:
    """At most one message with calls: DeepSeek-V3 writes the next one neither after its prompt nor after a header."""
    return sum("tool_calls" in message for message in messages) <= 1


def _requests(messages: Messages) -> int:
    return sum(message["role"] == "user" for message in messages)


@dataclass(frozen=True)
class Family:
    """A template of TRL, and what conversations it takes. agree: those that both of its templates write alike.

    once: conversations that the template writes in one text, each turn after what the model is given for it. parts: it
    wants lists of parts. inline: thoughts are part of the words, and kept by TRL's variant alone. closes: TRL's variant
    writes one more token at the end.
    """

    name: str
    tools: bool = False
    parallel: bool = True
    system: bool = True
    reasoning: float = 0.0
    agree: str = "all"  # "last request": with reasoning, and one request; "one request": without
    once: Callable[[Messages], bool] = anything
    parts: bool = False
    inline: bool = False
    closes: bool = False


FAMILIES = [
    Family("qwen2_5", tools=True),
    Family("qwen3_instruct_2507", tools=True),
    Family("qwen3", tools=True, reasoning=0.5, agree="last request"),
    Family("qwen3_5_nothink", tools=True, agree="one request"),
    Family("qwen3_5_think", tools=True, reasoning=0.5, agree="last request"),
    Family("qwen3_6", tools=True, reasoning=0.5, agree="last request"),
    Family("qwen3_8", tools=True, reasoning=0.5),
    Family("llama3"),
    Family("gemma", system=False),
    Family("gemma3"),
    Family("phi3"),
    Family("cohere"),
    Family("cohere2"),
    Family("lfm2"),
    Family("muse_glimmer", tools=True),
    Family("phi3_5"),
    Family("lfm2_v2", tools=True),
    Family("lfm2_2_5", tools=True, reasoning=0.5, once=thinks_once),
    Family("lfm2_2_5_v2", tools=True, reasoning=0.5, once=thinks_once),
    Family("lfm2_2_5_vl", tools=True, reasoning=0.5, once=thinks_once),
    Family("qwen2_5_vl"),
    Family("qwen3_vl", tools=True),
    Family("smolvlm", parts=True),
    Family("idefics3", parts=True),
    Family("llava_next", parts=True),
    Family("deepseek_r1_distill", reasoning=0.5, inline=True),
    Family("deepseekv3", tools=True, once=one_step),
    Family("glm4moe", tools=True, reasoning=0.5, once=thinks_once, closes=True),
    Family("gptoss", tools=True, parallel=False, reasoning=0.5, once=thoughtless_calls),
    Family("diffusion_gemma", tools=True, reasoning=0.5, once=whole_ends),
    Family("nemotron_3_nano", tools=True, reasoning=0.5, once=thinks_and_works_once),
    Family("nemotron_3_super", tools=True, reasoning=0.5, once=thinks_and_works_once),
    Family("nemotron_3_ultra", tools=True, reasoning=0.5, once=thinks_and_works_once),
    Family("nemotron_3_5_lightning", tools=True, reasoning=0.5, once=thinks_and_works_once),
]
EACH = pytest.mark.parametrize("family", FAMILIES, ids=[family.name for family in FAMILIES])


def sources(family: Family) -> tuple[str, str]:
    """The family's template and TRL's training variant of it: the same where it has generation markers itself."""
    from trl import chat_template_utils

    original = getattr(chat_template_utils, f"{family.name}_chat_template")
    return original, getattr(chat_template_utils, f"{family.name}_training_chat_template", original)


def conversations(family: Family, seed: int, *, agree: bool, weights: bool = False) -> list[Messages]:
    """Random ones; with `agree`, of the kind that both templates write alike."""
    talker = Talker(seed, marks=("<|im_end|>", "<|eot_id|>", "<end_of_turn>"))
    alike = agree and family.agree != "all"
    made = (
        talker.conversation(
            turns=1 if alike else 4,
            system=family.system,
            tools=family.tools,
            parallel=family.parallel,
            reasoning=0.0 if agree and family.inline else 1.0 if alike and family.reasoning else family.reasoning,
            weights=weights,
        )
        for _ in count()
    )
    rows = list(islice(filter(family.once, made), CONVERSATIONS))
    return [[_inline(message) for message in messages] for messages in rows] if family.inline else rows


def _inline(message: dict[str, Any]) -> dict[str, Any]:
    if "reasoning_content" not in message:
        return message
    said = f"<think>\n{message['reasoning_content']}\n</think>\n\n{message['content']}"
    return {key: item for key, item in message.items() if key != "reasoning_content"} | {"content": said}


def ours(tokenizer: Any, rows: list[Messages]) -> list[Any]:
    """What we train on."""
    from lora_tui.worker.rows import Row
    from lora_tui.worker.tokenize import tokenize

    made = [
        Row(id=str(number), messages=messages, tools=TOOLS if uses_tools(messages) else None)
        for number, messages in enumerate(rows)
    ]
    return list(tokenize(tokenizer, made, "train", 1_000_000))


def trl(family: Family, tokenizer: Any, messages: Messages, template: str) -> tuple[list[int], list[int]]:
    """The ids and labels that SFTTrainer's preparation makes of a conversation."""
    from lora_tui.worker.template import for_template

    given = [for_template(message) for message in messages]
    if family.parts:
        given = [{**item, "content": [{"type": "text", "text": item["content"]}]} for item in given]
    out = tokenizer.apply_chat_template(
        given,
        tools=TOOLS if uses_tools(messages) else None,
        chat_template=template,
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    marked = zip(out["input_ids"], out["assistant_masks"], strict=True)
    return out["input_ids"], [token if mask else -100 for token, mask in marked]


def without_turns(labels: list[int], weights: list[int]) -> list[int]:
    """TRL knows no weights: its labels, with those of the turns of weight 0 taken out."""
    result, turn = list(labels), -1
    for place, label in enumerate(labels):
        if label != -100 and (place == 0 or labels[place - 1] == -100):
            turn += 1
        if label != -100 and weights[turn] == 0:
            result[place] = -100
    assert turn == len(weights) - 1
    return result


@EACH
def test_the_mask_of_the_real_template_is_trls(family: Family) -> None:
    from trl import chat_template_utils

    original, training = sources(family)
    tokenizer = tokenizer_for(original)
    swapped = chat_template_utils.get_training_chat_template(tokenizer)
    assert swapped == (training if training != original else None)
    rows = conversations(family, 11, agree=True)
    for messages, tokens in zip(rows, ours(tokenizer, rows), strict=True):
        ids, labels = trl(family, tokenizer, messages, training)
        size = len(ids) - family.closes
        assert (tokens.input_ids, tokens.labels) == (ids[:size], labels[:size])


@EACH
def test_the_mask_of_trls_own_template_is_trls(family: Family) -> None:
    _, training = sources(family)
    tokenizer = tokenizer_for(training)
    rows = conversations(family, 12, agree=False)
    for messages, tokens in zip(rows, ours(tokenizer, rows), strict=True):
        assert (tokens.input_ids, tokens.labels) == trl(family, tokenizer, messages, training)


@EACH
def test_turns_of_weight_zero_are_taken_out_of_trls_mask(family: Family) -> None:
    from lora_tui.jobs.audit import LeftOut

    _, training = sources(family)
    tokenizer = tokenizer_for(training)
    rows = conversations(family, 13, agree=False, weights=True)
    compared = 0
    for messages, tokens in zip(rows, ours(tokenizer, rows), strict=True):
        weights = [message["weight"] for message in messages if message["role"] == "assistant"]
        if not any(weights):
            assert isinstance(tokens, LeftOut)
            assert tokens.reason == "no_loss"
            continue
        ids, labels = trl(family, tokenizer, messages, training)
        assert (tokens.input_ids, tokens.labels) == (ids, without_turns(labels, weights))
        compared += 1
    assert compared > CONVERSATIONS / 2


@pytest.mark.parametrize("name", ["qwen2_5", "qwen3_instruct_2507", "llama3", "gemma3"])
def test_the_trainer_of_trl_is_given_the_same_labels(name: str, tmp_path: Path) -> None:
    from datasets import Dataset
    from transformers import Qwen2Config, Qwen2ForCausalLM
    from trl import SFTConfig, SFTTrainer

    from lora_tui.worker.template import for_template

    family = next(item for item in FAMILIES if item.name == name)
    tokenizer = tokenizer_for(sources(family)[0])
    rows = [messages for messages in conversations(family, 14, agree=True) if not uses_tools(messages)][:60]
    config = Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1
    )
    trainer = SFTTrainer(
        model=Qwen2ForCausalLM(config),
        args=SFTConfig(output_dir=str(tmp_path), assistant_only_loss=True, max_length=None, use_cpu=True, bf16=False),
        train_dataset=Dataset.from_list(
            [{"messages": json.loads(json.dumps([for_template(item) for item in messages]))} for messages in rows]
        ),
        processing_class=tokenizer,
    )
    made = ours(tokenizer, rows)
    assert [row.input_ids for row in made] == [list(ids) for ids in trainer.train_dataset["input_ids"]]
    assert [row.labels for row in made] == [list(labels) for labels in trainer.train_dataset["labels"]]
