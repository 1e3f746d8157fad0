"""The embedded default: sessions written for lora-tui and a tiny model, so that the loop runs anywhere."""
