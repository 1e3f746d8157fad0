"""Claude Code's history: one file of JSON lines per session, below ~/.claude/projects (read as written by 2.1)."""
