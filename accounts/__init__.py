"""Users, session families, service clients, API keys, signing keys and security events."""
