"""A base's chat template: what it writes for a conversation, and what was found out about it by trying it.

Templates are programs. Some only append; some leave out earlier reasoning, put the tools before the last request, or
refuse roles. Nothing here reads a template's source: a few small conversations are rendered and looked at.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from transformers.utils.chat_template_utils import render_jinja_template

from lora_tui.worker.trl_spans import KNOWN, Known

Message = dict[str, Any]
_SENT = ("role", "name", "tool_call_id")


class NotText(Exception):
    """A message that a text model cannot be given: a picture, a file."""


class NotRendered(Exception):
    """The template refuses the conversation; its own words."""


def for_template(message: Message) -> Message:
    """An OpenAI message as chat templates expect it: text content, tool arguments as an object. Raises NotText."""
    given: Message = {key: message[key] for key in _SENT if message.get(key)}
    given["content"] = _text(message.get("content"))
    if message.get("reasoning_content"):
        given["reasoning_content"] = message["reasoning_content"]
    if message.get("tool_calls"):
        given["tool_calls"] = [
            {**call, "function": {**call["function"], "arguments": _arguments(call["function"].get("arguments", ""))}}
            for call in message["tool_calls"]
        ]
    return given


def has_reasoning(message: Message) -> bool:
    """Whether an assistant's message says what it thought; some templates look for it in the content."""
    return bool(message.get("reasoning_content")) or "</think>" in message["content"]


class Template:
    """The chat template of a tokenizer, with what its texts have in common.

    header: what a generation prompt adds. opened: the end of it that a turn without reasoning does not write, a think
    block; "" for most. lead: what stands between it and the words. end: what follows an assistant's words in a turn
    that others follow; "" where nothing does. last: what follows them in the last turn where that is another token.
    plain, with_tools: how much of a conversation without and with tools keeps its text when it goes on: "row" (all),
    "segment" (what came after the last request) or "" (not known to keep any).
    keeps_reasoning: reasoning of earlier requests stays. writes_calls: tool calls are written at all.
    known: what TRL counts in besides, for the templates it knows.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self._special = dict(tokenizer.special_tokens_map)
        self._sources = {
            bool(tools): str(tokenizer.get_chat_template(tools=tools)) for tools in (None, _PROBE_TOOLS)
        }  # a template may have a variant for tools
        self._arguments_as_text = False
        self._words_as_parts = False
        self.known = KNOWN.get(hashlib.sha256(self._sources[False].encode()).hexdigest(), Known())
        self.header = self.opened = self.lead = self.end = self.last = ""
        self._probe_words()
        self._probe_marks()
        self.writes_calls = self._probe_calls()
        self.plain = self.with_tools = ""
        self.keeps_reasoning = False
        if self.header and self.end:
            self._probe_what_is_kept()

    def render(
        self, messages: Sequence[Message], tools: list[dict[str, Any]] | None = None, prompt: bool = False
    ) -> str:
        """The text of messages that `for_template` made. Raises NotRendered with the template's words."""
        if self._words_as_parts:
            messages = [{**item, "content": [{"type": "text", "text": item["content"]}]} for item in messages]
        if self._arguments_as_text:
            messages = [_with_text_arguments(message) for message in messages]
        try:
            texts, _ = render_jinja_template(
                conversations=[list(messages)],
                tools=tools or None,
                chat_template=self._sources[bool(tools)],
                add_generation_prompt=prompt,
                **self._special,
            )
        except Exception as error:  # jinja's and the template's own exceptions have no common base
            raise NotRendered(str(error) or type(error).__name__) from error
        return str(texts[0])

    def _try(self, messages: list[Message], tools: list[dict[str, Any]] | None = None, prompt: bool = False) -> str:
        try:
            return self.render(messages, tools, prompt)
        except NotRendered:
            return ""

    def _probe_words(self) -> None:
        said = [_user("qaz"), _assistant("wsx")]
        if "wsx" not in self._try(said):
            self._words_as_parts = True  # templates of models that see pictures too may look for nothing else
            self._words_as_parts = "wsx" in self._try(said)

    def _probe_marks(self) -> None:
        asked = [_user("qaz")]
        with_prompt, without = self._try(asked, prompt=True), self._try(asked)
        begins = len(self._whole_marks(with_prompt[: shared(with_prompt, without)]))
        last = self._try([*asked, _assistant("wsx")])
        middle = self._try([*asked, _assistant("wsx"), _user("edc")])
        agrees = len(self._whole_marks(last[: shared(last, with_prompt)]))
        if "wsx" not in last or "wsx" not in middle or begins > agrees or (begins == agrees < len(with_prompt)):
            return
        self.header, self.opened = with_prompt[begins:], with_prompt[agrees:]
        self.lead = last[agrees:].partition("wsx")[0]
        tail, tail_in_middle = last.partition("wsx")[2], middle.partition("wsx")[2]
        self.end = self._whole_marks(tail[: shared(tail, tail_in_middle)])
        token = self._first_token(tail_in_middle)
        if token and tail and not self.end and tail == self._first_token(tail):
            self.end, self.last = token, tail

    def _first_token(self, text: str) -> str:
        """The special token that a text begins with."""
        tokens = [token for token in self.tokenizer.get_added_vocab() if text.startswith(token)]
        return max(tokens, key=len, default="")

    def _whole_marks(self, text: str) -> str:
        """Without the beginning of a special token that two texts happen to share."""
        tokens = [token for token in self.tokenizer.get_added_vocab() if not text.endswith(token)]
        broken = [size for token in tokens for size in range(1, len(token)) if text.endswith(token[:size])]
        return text[: len(text) - max(broken, default=0)]

    def _probe_calls(self) -> bool:
        called = [_user("qaz"), _call("rfv")]
        if "rfv" in self._try(called, _PROBE_TOOLS):
            return True
        self._arguments_as_text = True  # DeepSeek's template joins them to its text
        if "rfv" in self._try(called, _PROBE_TOOLS):
            return True
        self._arguments_as_text = False
        return False

    def _probe_what_is_kept(self) -> None:
        from lora_tui.worker.mask import counts, kept  # which is about conversations, and needs a template

        head = [{"role": "system", "content": "tgb"}]
        answered = [_user("qaz"), _assistant("wsx")]
        plain = [*answered, _user("edc"), _assistant("yhn"), _user("ujm"), _assistant("ikl")]
        self.plain = kept(self, [*head, *plain]) or kept(self, plain)
        worked = [_user("edc"), _call("rfv"), _result("ok"), _call("olp", "\ntgb\n"), _result("no"), _assistant("yhn")]
        if not counts(self, plain):
            self.plain = ""
        if self.writes_calls:
            tooled = [*worked, *answered, *worked]
            self.with_tools = kept(self, [*head, *tooled], _PROBE_TOOLS) or kept(self, tooled, _PROBE_TOOLS)
            if not counts(self, tooled, _PROBE_TOOLS):
                self.with_tools = ""
        thought = [_user("qaz"), {**_assistant("wsx"), "reasoning_content": "hmm"}]
        thought_in_text = [_user("qaz"), _assistant("<think>\nhmm\n</think>\n\nwsx")]
        self.keeps_reasoning = (
            kept(self, [*thought, *thought, *answered])
            == kept(self, [*thought_in_text, *thought_in_text, *answered])
            == "row"
        )


def _user(text: str) -> Message:
    return {"role": "user", "content": text}


def _assistant(text: str) -> Message:
    return {"role": "assistant", "content": text}


def _call(name: str, beside: str = "") -> Message:
    call = {"id": "abcdefghi", "type": "function", "function": {"name": name, "arguments": {"x": "y"}}}
    return {"role": "assistant", "content": beside, "tool_calls": [call]}


def _result(text: str) -> Message:
    return {"role": "tool", "content": text, "tool_call_id": "abcdefghi"}


_PROBE_TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "rfv",
            "description": "A tool.",
            "parameters": {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]},
        },
    }
]


def shared(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _with_text_arguments(message: Message) -> Message:
    if not message.get("tool_calls"):
        return message
    calls = [
        {**call, "function": {**call["function"], "arguments": _as_text(call["function"]["arguments"])}}
        for call in message["tool_calls"]
    ]
    return {**message, "tool_calls": calls}


def _as_text(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)


def _text(content: Any) -> str:
    """Several text parts become one text, joined as vLLM joins them for text-only templates."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if any(part.get("type") != "text" for part in content):
        raise NotText
    return "\n".join(part["text"] for part in content)


def _arguments(text: Any) -> Any:
    try:
        return json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return text  # the model wrote something that is no JSON; the template shows it as it is
