"""Operation tokens are allowed, signed and handed out, alone or in bulk."""
