"""The catalogue: one file an application."""
