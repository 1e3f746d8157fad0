"""A server whose adapters have other numbers than when it was first asked who it is."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from asking_endpoints import endpoint
from lora_tui.verify.asking import EndpointFault
from lora_tui.workspace.layout import Workspace

LORAS: list[str] = []


@pytest.fixture
def llama() -> Iterator[str]:
    """As much of llama.cpp as says who answers; its adapters are those in LORAS, in their order."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

        def do_GET(self) -> None:
            loras = [{"id": number, "path": f"/far/{name}.gguf", "scale": 0.0} for number, name in enumerate(LORAS)]
            found = {
                "/v1/models": {"data": [{"id": "tiny", "owned_by": "llamacpp"}]},
                "/props": {"build_info": "b11549", "model_path": "/far/tiny.gguf"},
                "/lora-adapters": loras,
            }[self.path]
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(found).encode())

    LORAS[:] = ["rust", "ruby"]
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"llama-cpp:http://127.0.0.1:{server.server_port}#rust"
    server.shutdown()
    server.server_close()
    thread.join()


async def test_a_server_elsewhere_that_was_started_anew_with_its_adapters_in_another_order_is_found_out(
    workspace: Workspace, llama: str
) -> None:
    """No file or process of it is seen from here; requests name an adapter by its number."""
    async with endpoint(workspace, llama) as one:
        assert await one.identify() == await one.identify()
        LORAS.reverse()
        with pytest.raises(EndpointFault, match="other adapters") as caught:
            await one.identify()
    assert caught.value.code == "wrong-model"
