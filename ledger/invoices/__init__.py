"""Invoices: what a provider says we owe it, read from its files and compared with the books."""
