"""Market data: what can be bought, at what price, and how it has done lately.

The way of a quote: a feed reads it, and what is not believed is an alarm (`feeds`); the history
remembers it (`tables`); the market keeps it (`market`) beside what our own traffic saw (`traffic`)
and what our own evals found (`evals`); a snapshot hands all of it to the router (`snapshot`). Where
there is no traffic the `prober` asks. The `predictor` learns from evals which model suffices for a
prompt. `capacity` is what can be bought by the hour. The `sandbox` is a market of our own, on
loopback, and labelled so.
"""
