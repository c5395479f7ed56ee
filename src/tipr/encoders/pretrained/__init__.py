"""Weights that others trained, read as ours. No file is ever executed."""
