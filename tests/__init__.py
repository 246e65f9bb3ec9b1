"""The suite. `python -m tests` runs all of it on SQLite and on PostgreSQL."""
