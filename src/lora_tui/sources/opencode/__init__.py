"""Sessions of opencode: JSON files (up to 1.1), SQLite with parts (1.2 to 1.18), SQLite with session_v2 (2.x)."""
