"""Telling people what happened to a budget: channels, and the courier that serves them."""
