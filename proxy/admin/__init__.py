"""The admin API: keys, owners, budgets and increases over HTTP, and what was spent."""
