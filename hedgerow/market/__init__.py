"""The configuration's market: what its feeds are asked, what is believed, and what is for sale."""
