"""Translations between wires, through one form: OpenAI chat completions. Pure functions on bytes."""
