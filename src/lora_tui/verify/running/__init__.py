"""Running a comparison: every question to every side, and what is kept of the answers."""
