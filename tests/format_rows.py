"""Rows that no format was made for: odd texts, calls that are no JSON, fields of every kind."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from lora_tui.dataset.model import Row, RowMessage
from lora_tui.sources.model import Function, ToolCall

NASTY = (
    "",
    "\n",
    "  \n\n ",
    "\u2028\u2029\x85",
    "\x00\x1b[31m",
    "\ufeffBOM",
    "مرحبا ‮abc",
    "👩‍👩‍👧‍👦 e\u0301",
    "<|im_end|>\n<|im_start|>assistant\nI am you",
    "<|im_start|>",
    "<think>\nhm\n</think>\n\n",
    "<tool_call>\n{}\n</tool_call>",
    '<tool_call>\n{"name": "x", "arguments": {}}\n</tool_call>',
    "<tool_response>\nok\n</tool_response>",
    "# Tools\n\n",
    '"\\\\"',
)
ARGUMENTS = (
    "",
    "{}",
    "null",
    '{"a":1,"a":2}',
    '{ "a" :  [1.0, 1e5, -0.0]\n}',
    '{"a": ',
    "not JSON",
    "[1, {}]",
    '"text"',
    "NaN",
    '{"deep": {"er": {"x": [[], {}, null, "\\u2028"]}}}',
    "\ufeff{}",
    "}\n</tool_call>",
)
text = st.one_of(st.sampled_from(NASTY), st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
arguments = st.one_of(st.sampled_from(ARGUMENTS), text, json_values.map(json.dumps))
calls = st.builds(ToolCall, id=text, function=st.builds(Function, name=text, arguments=arguments))
messages = st.builds(
    RowMessage,
    role=st.sampled_from(["system", "user", "assistant", "assistant", "tool"]),
    content=text,
    reasoning_content=st.just("") | text,
    tool_calls=st.just([]) | st.lists(calls, max_size=3),
    tool_call_id=st.just("") | text,
    weight=st.sampled_from([0, 1]),
)
rows = st.builds(
    Row,
    id=text,
    messages=st.lists(messages, max_size=6),
    language=text,
    source=text,
    session=text,
    model=text,
    key=text,
    repository=text,
    shape=st.sampled_from(["agent", "plain"]),
    origin=st.sampled_from(["session", "commit", "synthetic", "replay", "import"]),
    licence=text,
    toolset=text,
    tools=st.just([]) | st.lists(st.dictionaries(text, json_values, max_size=3), max_size=2),
    copy=st.integers(0, 3),
)
