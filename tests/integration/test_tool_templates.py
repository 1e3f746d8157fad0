"""Tool calls through chat templates of the two common kinds: parameters as XML, and JSON between tags."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.engine

# Calls as XML with a block per parameter, outputs in a user turn: the kind of template the Qwen3-Coder models have.
XML = r"""
{%- if tools %}
{{- '<|im_start|>system\n<tools>\n' }}
{%- for tool in tools %}
{{- '<function>\n<name>' + tool.function.name + '</name>\n' }}
{%- for key, value in tool.function.parameters.properties | items %}
{{- '<parameter><name>' + key + '</name><type>' + value.type + '</type></parameter>\n' }}
{%- endfor %}
{{- '</function>\n' }}
{%- endfor %}
{{- '</tools><|im_end|>\n' }}
{%- endif %}
{%- for message in messages %}
{%- if message.role == 'assistant' %}
{{- '<|im_start|>assistant\n' + message.content }}
{%- for call in message.tool_calls or [] %}
{{- '\n<tool_call>\n<function=' + call.function.name + '>\n' }}
{%- for key, value in call.function.arguments | items %}
{{- '<parameter=' + key + '>\n' + (value if value is string else value | tojson) + '\n</parameter>\n' }}
{%- endfor %}
{{- '</function>\n</tool_call>' }}
{%- endfor %}
{{- '<|im_end|>\n' }}
{%- elif message.role == 'tool' %}
{{- '<|im_start|>user\n' if loop.first or loop.previtem.role != 'tool' }}
{{- '<tool_response>\n' + message.content + '\n</tool_response>\n' }}
{{- '<|im_end|>\n' if loop.last or loop.nextitem.role != 'tool' }}
{%- else %}
{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"""

# Calls as JSON objects between tags: what the Hermes models began.
JSON = r"""
{%- if tools %}{{- '<|im_start|>system\n<tools> ' + tools | tojson + ' </tools><|im_end|>\n' }}{%- endif %}
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\n' + message.content }}
{%- for call in message.tool_calls or [] %}
{{- '\n<tool_call>\n' + {"name": call.function.name, "arguments": call.function.arguments} | tojson }}
{{- '\n</tool_call>' }}
{%- endfor %}
{{- '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"""

TOOLS = [
    {
        "type": "function",
        "function": {"name": "edit", "parameters": {"type": "object", "properties": {"filePath": {"type": "string"}}}},
    }
]
EDIT = {"filePath": "a.rs", "oldString": 'let x = "1";\n', "newString": "", "replaceAll": True}


def conversation() -> list[dict[str, Any]]:
    def call(identity: str, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        return {"id": identity, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}

    return [
        {"role": "user", "content": "Remove x"},
        {
            "role": "assistant",
            "content": "Looking.",
            "tool_calls": [call("1", "read", {"filePath": "b.rs"})],
            "weight": 0,
        },
        {"role": "tool", "tool_call_id": "1", "content": "no such file"},
        {"role": "assistant", "tool_calls": [call("2", "edit", EDIT), call("3", "bash", {"command": "cargo test"})]},
        {"role": "tool", "tool_call_id": "2", "content": "Edit applied successfully."},
        {"role": "tool", "tool_call_id": "3", "content": "ok"},
        {"role": "assistant", "content": "Done."},
    ]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """One row whose tools stand once beside the splits."""
    row = {"id": "r", "messages": conversation(), "toolset": "build"}
    (tmp_path / "train.jsonl").write_text(json.dumps(row) + "\n")
    (tmp_path / "tools.json").write_text(json.dumps({"build": TOOLS}))
    return tmp_path


@pytest.mark.parametrize(
    ("template", "learned"),
    [
        (
            XML,
            "\n<tool_call>\n<function=edit>\n<parameter=filePath>\na.rs\n</parameter>\n<parameter=oldString>\n"
            'let x = "1";\n\n</parameter>\n<parameter=newString>\n\n</parameter>\n<parameter=replaceAll>\ntrue\n'
            "</parameter>\n</function>\n</tool_call>\n<tool_call>\n<function=bash>\n<parameter=command>\ncargo test\n"
            "</parameter>\n</function>\n</tool_call><|im_end|>\n",
        ),
        (
            JSON,
            '\n<tool_call>\n{"name": "edit", "arguments": {"filePath": "a.rs", "oldString": "let x = \\"1\\";\\n", '
            '"newString": "", "replaceAll": true}}\n</tool_call>\n<tool_call>\n{"name": "bash", "arguments": '
            '{"command": "cargo test"}}\n</tool_call><|im_end|>\n',
        ),
    ],
    ids=["xml", "json"],
)
def test_calls_are_learned_in_the_bases_own_format(template: str, learned: str, dataset: Path, tiny_base: Path) -> None:
    from lora_tui.worker.loading import load_tokenizer
    from lora_tui.worker.mask import IGNORED, spans
    from lora_tui.worker.rows import read_rows
    from lora_tui.worker.template import Template
    from lora_tui.worker.tokenize import tokenize

    tokenizer = load_tokenizer(str(tiny_base))
    tokenizer.chat_template = template
    (row,) = read_rows(dataset, "train")
    text, places = spans(Template(tokenizer), row)
    assert text.startswith("<|im_start|>system\n")
    assert "filePath" in text[: text.index("<|im_end|>")]
    assert [text[start:end] for start, end in places] == [learned, "Done.<|im_end|>\n"]
    (tokens,) = tokenize(tokenizer, [row], "train", 4096)
    kept = [label for label in tokens.labels if label != IGNORED]
    assert tokenizer.decode(kept) == learned + "Done.<|im_end|>\n"


def test_a_row_whose_tools_are_gone_is_told(dataset: Path) -> None:
    from lora_tui.worker.rows import read_rows
    from lora_tui.workspace.errors import BadInput

    (dataset / "tools.json").unlink()
    with pytest.raises(BadInput, match="the tools 'build' of this row are missing"):
        list(read_rows(dataset, "train"))
