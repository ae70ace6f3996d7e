"""Dialects: how each kind of provider wants to be asked, and how it says what was used."""
