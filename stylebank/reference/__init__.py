"""The slow reference, one image at a time, and the figures of a bank beside it."""
