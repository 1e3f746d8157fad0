"""Tokenizers in the manner of model families, and random conversations of every shape their templates take."""

from __future__ import annotations

import json
import random
import re
from typing import Any

WORDS = [
    "snow",
    "is",
    "white",
    "fn",
    "main()",
    "grüße",
    "日本",
    "🦀",
    "👩‍👩‍👧",
    "  two  spaces",
    "a\n\nb",
    "<b>",
    "x=1;",
    *("```rust", "\t", "e\u0301", "assistant", "user\n", "{", '"q"', "\\n", "</s", "<think", "[INST"),
]
MARKS = re.compile(r"<\|[^|<>\s']+\|>|<(?:start|end)_of_turn>|</?s>|\[/?[A-Z_]+\]|<｜[^｜<>\s]+｜>")

Messages = list[dict[str, Any]]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": f"To {name} a file.",
            "parameters": {
                "type": "object",
                "properties": {"path": {"type": "string", "description": "Where"}},
                "required": ["path"],
            },
        },
    }
    for name in ("read", "edit")
]


def tokenizer_for(template: str, *, bos: str = "<s>", eos: str = "", marks: tuple[str, ...] = ()) -> Any:
    """A byte-level BPE tokenizer that knows the special tokens a template names."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    named = sorted({*MARKS.findall(template), *marks, bos, *([eos] if eos else [])})
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        special_tokens=["<pad>", *named],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator([" ".join(WORDS), "the user said: assistant\n\n model\n system\n\n\n"] * 3, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", bos_token=bos, eos_token=eos or named[0], chat_template=template
    )


class Talker:
    """Random conversations, the same for the same seed."""

    def __init__(self, seed: int, marks: tuple[str, ...] = ()) -> None:
        self.pick = random.Random(seed)
        self.marks = marks  # special tokens that people type now and then

    def text(self, *, empty: float = 0.1) -> str:
        """Words, sometimes none, sometimes with newlines at either end or a special token in them."""
        pick = self.pick
        if pick.random() < empty:
            return ""
        words = pick.choices(WORDS, k=pick.randint(1, 14))
        if self.marks and pick.random() < 0.08:
            words.insert(pick.randrange(len(words) + 1), pick.choice(self.marks))
        return pick.choice(["", "", "", "\n", " ", "\n\n"]) + " ".join(words) + pick.choice(["", "", "", "\n", "\n\n "])

    def call(self, name: str) -> dict[str, Any]:
        """An OpenAI tool call."""
        identity = "".join(self.pick.choices("abcdefghjk", k=9))
        arguments = json.dumps({"path": self.text()}, ensure_ascii=False)
        return {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}

    def assistant(self, *, reasoning: bool, **more: Any) -> dict[str, Any]:
        """What the assistant says."""
        thought = {"reasoning_content": self.text(empty=0) + "."} if reasoning else {}
        return {"role": "assistant", "content": self.text(), **thought, **more}

    def steps(self, *, tools: bool, parallel: bool, reasoning: bool) -> Messages:
        """What follows a request: calls with their results, and an answer."""
        made: Messages = []
        for _ in range(self.pick.randint(0, 3) if tools else 0):
            calls = [
                self.call(self.pick.choice(["read", "edit"]))
                for _ in range(1 + (parallel and self.pick.random() < 0.3))
            ]
            made.append(self.assistant(reasoning=reasoning, tool_calls=calls))
            made += [{"role": "tool", "tool_call_id": call["id"], "content": self.text()} for call in calls]
        return [*made, self.assistant(reasoning=reasoning)]

    def conversation(
        self,
        *,
        turns: int = 4,
        system: bool = True,
        tools: bool = True,
        parallel: bool = True,
        reasoning: float = 0.0,
        weights: bool = False,
    ) -> Messages:
        """Up to `turns` requests; `reasoning` is the share of conversations in which the assistant thinks aloud."""
        pick = self.pick
        thinks = pick.random() < reasoning
        tools = tools and pick.random() < 0.6
        made: Messages = [{"role": "system", "content": self.text(empty=0)}] if system and pick.random() < 0.5 else []
        for _ in range(pick.randint(1, turns)):
            made.append({"role": "user", "content": self.text(empty=0)})
            made += self.steps(tools=tools, parallel=parallel, reasoning=thinks)
        if weights:
            for message in made:
                if message["role"] == "assistant":
                    message["weight"] = pick.choice([0, 1, 1])
        return made


def uses_tools(messages: Messages) -> bool:
    """Whether somebody called one."""
    return any(message["role"] == "tool" for message in messages)
