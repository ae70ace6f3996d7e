"""The book: what was approved, bought, marked and settled."""
