"""What every request passes through: request ids, headers, parsers, pages of results."""
