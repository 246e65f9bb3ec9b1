"""Commands about people, clients and keys."""
