"""The hedge: which fixed-price contracts keep every month under its cap, and why.

A plan's way through this room: `scenarios` draws the months ahead from what was used; `contracts`
and `venues` say what can be bought in them, as a menu; `program`, whose `master` is the only module
that imports cvxpy, finds what to hold; `planning` works that out again without a solver, explains
it, and holds it against other worlds. What was bought is in `book`; `bids` tells the router what
its capacity is worth, `fixed_fee` what a team would pay for a flat fee, and `backtest` what the
plans would have cost in the past, beside simpler rules.
"""
