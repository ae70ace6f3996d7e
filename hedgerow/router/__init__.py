"""What routers do, as values to be shown: those of all workers, and what one would choose now."""
