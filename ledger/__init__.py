"""The books and the units.

A dollar's way through this room: `rates` turns tokens into `money`; `budgets` says which accounts
an attempt draws on, `policy` which budgets there are; `book` holds the worst case in all of them at
once, in `slices` that `grants` has leased of the store, and writes it into the `journal`; later it
posts what was really used, or voids. `folding` brings what the journal says into the `store`, where
`tables.writers` writes each attempt as one entry that is never edited, with the balances that
follow from it. `recovery` does the same for a worker that died. `statements` reads the entries'
sums, `audit` recomputes them, `retention` lets go of what is old.

`tables` has what the store keeps, each thing by itself, in one SQL for the `databases` that there
are; `exports`, `invoices` and `simulation` are what finance and platform teams make of it.
"""
