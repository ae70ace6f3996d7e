"""Planning: from the books and the menu to a plan that has been checked, and why."""
