"""Feeds: readers of prices, each for one source. A price that a feed cannot read is no price."""
