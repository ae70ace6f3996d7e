"""The plan of one month, as it was until now: goes when `hedge.planning` is whole."""
