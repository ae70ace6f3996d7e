"""Exports: charges as files for those who keep the accounts: CSV, Parquet and FOCUS."""
