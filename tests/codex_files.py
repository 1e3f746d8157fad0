"""Codex' rollout files as tests tell them: line by line, in the envelopes of 0.169."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SESSION = "01a1f8dd-0000-7a93-95da-8473e0e50001"


class Told:
    """One file."""

    def __init__(self, session: str = SESSION) -> None:
        self.session = session
        self.lines: list[str] = []
        head = {"id": session, "timestamp": "2026-11-20T12:00:00.000Z", "cwd": "/home/dev/calc"}
        more = {"cli_version": "0.169.0", "source": "exec", "model_provider": "lab"}
        self.line("session_meta", {**head, **more, "base_instructions": {"text": "You are Codex."}})
        self.message("developer", "Sandboxed.", kinds=["permissions.instructions"])
        self.message("user", "<environment_context>\n  <cwd>/home/dev/calc</cwd>\n</environment_context>")
        self.line("turn_context", {"cwd": "/home/dev/calc", "model": "gpt-9-codex", "approval_policy": "never"})

    def line(self, kind: str, payload: dict[str, Any]) -> None:
        stamp = f"2026-11-20T12:00:{len(self.lines) % 60:02d}.500Z"
        self.lines.append(
            json.dumps({"timestamp": stamp, "ordinal": len(self.lines), "type": kind, "payload": payload})
        )

    def item(self, kind: str, **more: Any) -> None:
        self.line("response_item", {"type": kind, **more})

    def message(self, role: str, *texts: str, kinds: list[str] | None = None) -> None:
        part = "output_text" if role == "assistant" else "input_text"
        passed = {"content_item_kinds": kinds} if kinds else {}
        content = [{"type": part, "text": text} for text in texts]
        self.item(
            "message", role=role, content=content, internal_chat_message_metadata_passthrough={"turn_id": "t", **passed}
        )

    def call(self, call: str, name: str, arguments: str) -> None:
        self.item("function_call", name=name, arguments=arguments, call_id=call)

    def output(self, call: str, output: Any) -> None:
        self.item("function_call_output", call_id=call, output=output)

    def ran(self, call: str, command: str, output: str, exit_code: int) -> None:
        """A command as it runs: the call, the event with its exit code, the output for the model."""
        self.call(call, "exec_command", json.dumps({"cmd": command}))
        item = {"type": "CommandExecution", "id": call, "exit_code": exit_code, "aggregated_output": output}
        self.line("event_msg", {"type": "item_completed", "item": item})
        self.output(
            call, f"Chunk ID: ab12\nWall time: 0.1 seconds\nProcess exited with code {exit_code}\nOutput:\n{output}"
        )

    def write(self, home: Path, ending: str = ".jsonl", folder: str = "sessions/2026/11/20") -> Path:
        path = home / folder / f"rollout-2026-11-20T12-00-00-{self.session}{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        body = "".join(f"{line}\n" for line in self.lines).encode()
        if ending.endswith(".zst"):
            import zstandard

            body = zstandard.compress(body)
        path.write_bytes(body)
        return path


def fixed_a_bug(session: str = SESSION) -> Told:
    """A turn: reasoning, words and a command in one answer, a failing command, a patch, an answer."""
    told = Told(session)
    told.message("user", "fix add in calc.py\n\n<stdin>\n1 failed\n</stdin>", kinds=["user.text"])
    told.item("reasoning", summary=[{"type": "summary_text", "text": "Look first."}], content=None)
    told.message("assistant", "Reading.")
    told.ran("call_1", "cat calc.py", "return a - b\n", 0)
    told.ran("call_2", "pytest", "1 failed\n", 1)
    told.item("custom_tool_call", name="apply_patch", input="*** Begin Patch\n*** End Patch", call_id="call_3")
    judged = json.dumps({"output": "Success. Updated calc.py", "metadata": {"exit_code": 0}})
    told.item("custom_tool_call_output", call_id="call_3", output=judged)
    told.message("assistant", "Fixed.")
    told.line("event_msg", {"type": "task_complete", "last_agent_message": "Fixed."})
    return told
