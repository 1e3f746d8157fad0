"""Codex CLI's history: one rollout file of JSON lines per session, below ~/.codex (read as written by 0.169)."""
