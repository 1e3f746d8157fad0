"""Trainings that other programs run, read from what transformers' Trainer or a TensorBoard writer leaves on disk."""
