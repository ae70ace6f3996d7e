"""Scenarios: demand and prices of the next months, drawn from what was seen."""
