"""Evals: our own measure of quality, on our own prompts, offer by offer."""
