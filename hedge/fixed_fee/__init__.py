"""A fixed fee for a team: what its variable cost can be taken over for."""
