"""Slots: reserved at most once, settled or released; what stops an executor."""
