"""Translations between wires, through one form: chat completions. Pure functions on bytes."""
