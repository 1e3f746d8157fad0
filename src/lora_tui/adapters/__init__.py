"""What was made: immutable adapter versions."""
