"""Venues: what can really be bought and sold there, out of their order books and quotes."""
