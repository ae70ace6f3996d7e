"""Backtest: rules walked forward over what happened."""
