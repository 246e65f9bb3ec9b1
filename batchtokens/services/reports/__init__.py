"""What became of it all: missed runs, the day in figures, the evidence of one mandate."""
