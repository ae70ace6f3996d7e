"""Contracts: the terms of all kinds of them, the shipped catalogue, and how they compare."""
