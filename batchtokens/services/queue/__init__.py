"""The built-in queue: due runs in, deliveries out."""
