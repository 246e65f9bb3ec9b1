"""REST: validate, one service call, respond."""
