"""Where TRL begins to train in a turn, for the templates it knows byte for byte: characters before the prompt's end.

Its training templates open the generation block inside the header for some families: `qwen2_5_training.jinja` before
the newline after "assistant", `qwen3_6_training.jinja` before the "<think>" that the prompt writes itself.
"""

from __future__ import annotations

# SHA-256 of the template -> characters. TRL 1.16, trl/chat_templates; tests/integration/test_mask_trl.py holds it.
EARLIER: dict[str, int] = {}
