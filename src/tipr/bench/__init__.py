"""Comparing runs: tables of ablations with intervals, and what methods cost."""
