"""An adapter for other programs: merged into its base, as GGUF, as an Ollama model, as a vLLM command line."""
