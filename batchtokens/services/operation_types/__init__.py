"""What may be asked for: operation types, their schemas and their sentences."""
