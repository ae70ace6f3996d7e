"""The books and the units.

A dollar's way through this room: `rates` turns tokens into `money`; `budgets` says which accounts
an attempt draws on; `book` holds the worst case in all of them at once, and later posts what was
really used, or voids, or expires the hold; `sqlite_store` keeps every step as a row that is never
edited; `statements` reads the rows, `audit` recomputes them.
"""
