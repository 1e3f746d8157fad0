"""Suites: what is asked and expected; reading, checking, drafting and editing their files."""
