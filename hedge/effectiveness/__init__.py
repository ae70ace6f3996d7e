"""Effectiveness: whether what was bought ahead did what it was bought for; values, no rendering."""
