"""The outgrow path: a training job as files that dstack, SkyPilot or a plain shell runs on machines they find.

Neither is ever imported. What is written is checked against their own parsers by tests/contract.
"""
