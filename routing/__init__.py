"""The router: which offer for this request, and why. Pure: no clock, no chance, no I/O.

The way of a decision: the `intent` says what the request needs, `eligibility` refuses the offers
that cannot serve it, `cost` says what each of the others is expected to cost, `decide` puts them in
order. What was learned (`learned`) and which offers rest (`breaker`) come in as arguments.
"""
