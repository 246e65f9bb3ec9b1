"""How the service is watched: logs and health."""
