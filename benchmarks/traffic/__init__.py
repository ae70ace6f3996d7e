"""What our own traffic tells of offers: each worker sees it, all share it, chances come of it."""
