"""The router: which offer for this request, and why. Pure: no clock, no chance, no I/O.

The way of a decision: the `intent` says what the request needs. A model's `table` is prepared while
the market stays the same: whom `eligibility` refuses, what the others ask, how likely they answer.
`costed` says what this request is expected to cost at each of them; `ranking` puts them in order,
by `ordering`, and `preference_order` as the request itself wants it. `decide` tells that story; a
`decision` is what comes of it, and an `explanation` what people read of that. What was learned
(`learned`, `warmth`), which offers rest (`breaker`) and what may be spent on trying (`state`) come
in as arguments. `prompt_choice` is for classes of models, `second_offers` for silent offers.
"""
