"""Endpoints: what is asked of each and how it is answered; no HTTP, no time, no chance."""
