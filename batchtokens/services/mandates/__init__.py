"""An operation token after its issue: found, held, lowered, cancelled, told about."""
