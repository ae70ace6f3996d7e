"""The tables of the books as they change from version to version, and back."""
