"""Feeds: what others say of prices, latency and quality, read and judged.

A document (`document`) is read by the reader of its feed (`litellm`, `openrouter`,
`provider_models`, `artificial_analysis`, `gpu_index`) into a `reading`; `checks` judges it beside
what was believed before (`beliefs`), by what is plausible (`plausibility`). Nothing here fetches.
"""
