"""What a server's refusal means: an HTTP status with an error in one of the shapes that servers use."""

from __future__ import annotations

import time
from collections.abc import Mapping

from lora_tui.adapters.serving.reading import error_words
from lora_tui.verify.asking import EndpointFault
from lora_tui.verify.endpoints.server import Server
from lora_tui.workspace.keys import hidden

_FIXES = {
    401: "Set the key that it wants: $OPENAI_API_KEY, $TOGETHER_API_KEY, $VLLM_API_KEY or $LLAMA_API_KEY.",
    402: "It wants credit first.",
    403: "Use a key that may do that.",
}
_LATER = (408, 425, 500, 502, 503, 504)


def refused(server: Server, model: str, status: int, headers: Mapping[str, str], body: bytes) -> EndpointFault:
    """The fault for an answer that is not 200. No key that this process knows is repeated."""
    said = hidden(error_words(body)) or "without a word"
    wait = seconds(headers.get("retry-after", ""))
    if status == 429:
        what = f"is asked too often: {said}"
        return server.fault("rate-limited", what, fix="Ask fewer at once.", again=True, wait=wait)
    if status == 404 and model and ("model" in said.lower() or model in said):
        return server.fault("wrong-model", f"does not serve {model}: {said}", fix="See which names it serves.")
    fix = _FIXES.get(status, "")
    return server.fault("refused", f"answered {status}: {said}", fix=fix, again=status in _LATER, wait=wait)


def seconds(text: str) -> float | None:
    """Retry-After, which is a number of seconds or a date (RFC 9110, 10.2.3); None where it is neither."""
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError):
        return None
