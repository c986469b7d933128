"""Runs a study in a process of its own: start, stop, and tell whether it lives."""
