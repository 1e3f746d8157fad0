"""Verify: the same prompts to the baseline and the fine-tune, answer beside answer."""
