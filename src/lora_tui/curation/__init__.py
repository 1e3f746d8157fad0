"""What is worth learning from: segments, language evidence, labels."""
