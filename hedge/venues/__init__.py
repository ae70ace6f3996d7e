"""Venues: order books, quotes and auctions, and what can be executed on them."""
