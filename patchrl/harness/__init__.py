"""Evaluation by lm-evaluation-harness. Only the process that evaluates, and a short-lived one, import it."""
