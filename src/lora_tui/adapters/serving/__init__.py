"""Serving: an engine with a base and its adapters, a router before it, and changing what a name means under load.

One process per served set (`server`) starts and watches the engines (`vllm`, `llama_cpp`, `transformers`), holds the
router, and is asked over a Unix socket (`control`). Its folder in the workspace (`sets`) is how a promotion, a screen
or a second terminal finds it.
"""
