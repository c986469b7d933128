"""Engines that sample: token ids of prompts in; token ids, their log-probabilities and how each ended out."""
