"""What is kept of a server's answers: nothing that it would not say itself when started with other flags."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from asking_endpoints import endpoint
from lora_tui.workspace.layout import Workspace

# As much of vLLM as says who answers.
SERVER = """
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
models = {"data": [{"id": "base", "owned_by": "vllm", "root": sys.argv[1], "parent": None}]}
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        found = {"/v1/models": models, "/version": {"version": "0.32.0"}}.get(self.path)
        body = json.dumps(found).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): ...
server = HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


@contextmanager
def serving(model: Path, *flags: str, **environment: str) -> Iterator[str]:
    """A server process with these flags."""
    command = [sys.executable, "-c", SERVER, str(model), *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | environment) as child:
        assert child.stdout is not None
        try:
            yield f"vllm:http://127.0.0.1:{child.stdout.readline().strip()}#base"
        finally:
            child.kill()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model's folder, older than any server of it."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "template.jinja").write_text("{{ messages }}")
    time.sleep(0.6)
    return folder


async def digest(workspace: Workspace, model: Path, *flags: str, **environment: str) -> str:
    """What a server's answers are known by."""
    with serving(model, *flags, **environment) as name:
        async with endpoint(workspace, name) as one:
            return (await one.identify()).digest


async def test_answers_of_a_server_with_other_flags_or_another_template_are_not_taken_for_its_own(
    workspace: Workspace, model: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own.txt"
    own.write_text("{{ messages }}")
    time.sleep(0.6)
    plain = await digest(workspace, model)
    assert plain
    assert await digest(workspace, model) == plain
    assert await digest(workspace, model, "--quantization", "fp8") not in ("", plain)
    assert await digest(workspace, model, VLLM_USE_V1="0") not in ("", plain)
    templated = await digest(workspace, model, f"--chat-template={own}")
    assert templated not in ("", plain)
    own.write_text("{{ messages[-1] }}")
    time.sleep(1.5)
    assert await digest(workspace, model, f"--chat-template={own}") not in ("", plain, templated)
