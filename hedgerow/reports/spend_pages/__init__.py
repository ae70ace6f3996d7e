"""The pages of the spend report: its value, laid out."""
