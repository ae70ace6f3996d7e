"""The dashboard: pages at `/` and under `/ui/`, for people who have a key with a role."""
