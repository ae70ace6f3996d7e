"""Capacity: hours of GPUs, told apart by grade, and what each grade costs."""
