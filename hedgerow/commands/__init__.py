"""The commands of `hedgerow`, one module each."""
