"""The suites of the workspace: a list of them, and an editor of one."""
