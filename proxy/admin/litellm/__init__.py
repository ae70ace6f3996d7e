"""LiteLLM's management routes, with its names of fields and their meaning."""
