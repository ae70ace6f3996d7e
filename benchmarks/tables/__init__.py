"""The market's tables in the database of the books: what was said, and when; what was said last."""
