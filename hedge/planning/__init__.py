"""Planning: from scenarios and a menu to a plan that has been checked, explained and shaken."""
