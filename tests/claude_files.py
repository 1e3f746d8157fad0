"""Claude Code's session files as tests tell them: line by line, in the envelopes of 2.1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SESSION = "5b2d6c1e-0f4a-4e55-9a3b-7d1f0c9e2a44"
DIRECTORY = "/home/dev/calc"
MODEL = "claude-sonnet-9"


class Told:
    """One file. Each method adds lines and returns the uuid of the last; `after` goes back to an earlier one."""

    def __init__(self, session: str = SESSION, agent: str = "") -> None:
        self.session = session
        self.agent = agent
        self.lines: list[str] = []
        self.last: str | None = None

    def user(self, content: str | list[dict[str, Any]], **more: Any) -> str:
        return self.line("user", {"message": {"role": "user", "content": content}, **more})

    def answer(self, message: str, *blocks: dict[str, Any], **more: Any) -> list[str]:
        """One line per block, all with the message's id and its whole usage."""
        return [
            self.line(
                "assistant",
                {
                    "message": {
                        **{"id": message, "type": "message", "role": "assistant", "model": MODEL, "content": [block]},
                        **{"stop_reason": "tool_use", "usage": {"input_tokens": 1200, "output_tokens": 42}},
                    },
                    **more,
                },
            )
            for block in blocks
        ]

    def result(self, call: str, content: Any, *, error: bool | None = None, noted: Any = None, **more: Any) -> str:
        block = {"tool_use_id": call, "type": "tool_result", "content": content}
        if error is not None:
            block["is_error"] = error
        extra = {} if noted is None else {"toolUseResult": noted}
        return self.user([block], **extra, **more)

    def reminder(self, text: str) -> str:
        rendered = [{"content": f"<system-reminder>\n{text}\n</system-reminder>"}]
        return self.line("attachment", {"attachment": {"type": "date"}, "rendered": rendered, "renderedRole": "user"})

    def aside(self, **line: Any) -> None:
        """A line outside the tree."""
        self.lines.append(json.dumps({"sessionId": self.session, **line}))

    def line(self, kind: str, more: dict[str, Any]) -> str:
        uuid = f"{len(self.lines):08d}-aaaa-4aaa-8aaa-{hash((self.session, self.agent)) & 0xFFFFFFFFFFFF:012x}"
        parent = more.pop("after", self.last)
        found = {
            **{"parentUuid": parent, "isSidechain": bool(self.agent), "type": kind, "uuid": uuid},
            **{"timestamp": f"2026-11-20T12:{len(self.lines) // 60:02d}:{len(self.lines) % 60:02d}.250Z"},
            **{"cwd": DIRECTORY, "sessionId": self.session, "version": "2.1.329", "gitBranch": "main"},
            **({"agentId": self.agent} if self.agent else {}),
            **more,
        }
        self.lines.append(json.dumps(found, ensure_ascii=False))
        self.last = uuid
        return uuid

    def write(self, projects: Path) -> Path:
        """Into its place below the projects folder."""
        name = f"{self.session}/subagents/agent-{self.agent}" if self.agent else self.session
        path = projects / "-home-dev-calc" / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in self.lines), encoding="utf-8")
        return path


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def thinking(words: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": words, "signature": "c2ln"}


def use(call: str, name: str, **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call, "name": name, "input": arguments}


def fixed_a_bug(session: str = SESSION) -> Told:
    """A turn with reading, two calls at once of which one fails, and an answer."""
    told = Told(session)
    told.aside(type="queue-operation", operation="enqueue", content="fix add in calc.py")
    told.user("fix add in calc.py")
    told.reminder("Today's date is 2026-11-20.")
    told.answer("msg_1", thinking("Look first."), text("Let me look."), use("toolu_1", "Read", file_path="calc.py"))
    told.result("toolu_1", "1\tdef add(a, b):\n2\t    return a - b\n", noted={"type": "text"})
    edit, bash = told.answer(
        "msg_2",
        use("toolu_2", "Edit", file_path="calc.py", old_string="a - b", new_string="a + b", replace_all=False),
        use("toolu_3", "Bash", command="pytest", description="Test"),
    )
    told.result("toolu_2", "The file calc.py has been updated.", noted={"filePath": "calc.py"}, after=edit)
    told.result("toolu_3", "Exit code 2\n1 failed", error=True, noted="Error: Exit code 2\n1 failed", after=bash)
    told.answer("msg_3", use("toolu_4", "Bash", command="pytest -x", description="Again"))
    told.result("toolu_4", "1 passed", error=False, noted={"stdout": "1 passed", "interrupted": False})
    told.answer("msg_4", text("Fixed."))
    told.aside(type="last-prompt", lastPrompt="fix add in calc.py")
    return told
