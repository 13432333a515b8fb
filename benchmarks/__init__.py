"""Measurements, each a script that prints a table in Markdown: ``python -m benchmarks.compose``."""
