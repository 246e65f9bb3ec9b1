"""What accounts can do: one verb a file, keyword-only, no HTTP."""
