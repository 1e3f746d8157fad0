"""Commits of git repositories as training material: read by plain git, filtered by named rules, told as sessions."""
