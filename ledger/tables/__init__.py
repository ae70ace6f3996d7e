"""The tables of the books, each with what may be done to it; `ddl` makes them."""
