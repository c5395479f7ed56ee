"""Rendered people with known attributes, and sentences about what each picture shows."""
