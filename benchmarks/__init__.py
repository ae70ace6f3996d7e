"""Market data: what can be bought, at what price, and how it has done lately.

The way of a quote: a feed reads it (`feeds`), the market keeps it beside what our own traffic saw
(`market`, `observations`), the history remembers it (`history`), and a snapshot hands it to the
router (`snapshot`). The sandbox is a market of our own, on loopback, and labelled so.
"""
