"""What may happen, by who does it. A rule returns False where there is nothing to do it to."""
