"""Bring back what a restored database has lost, from an export that the sink vouches for."""
