"""Bid prices: what the capacity that we own is worth to later requests."""
