"""Wires: what each endpoint says, to us and to a provider alike: requests, answers, events."""
