"""Answers out: the saved folder, the one-item path, and other formats."""
