"""Measurements of this product against itself and against the obvious way; no tests."""
