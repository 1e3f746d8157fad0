"""Where to train: every way there is for one profile and one dataset, each figure with its source and its date.

`ways.compare` makes one `Way` per place. Nothing here starts the engine, uploads or rents; only prices are asked for,
where a key is set and live answers are wanted.
"""
