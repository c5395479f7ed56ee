"""Slow, obvious versions of the formulas, written with loops."""
