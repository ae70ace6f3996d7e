"""What other budgets would have done to what has happened."""
