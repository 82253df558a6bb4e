"""Comparisons scored by Ray's tasks."""
