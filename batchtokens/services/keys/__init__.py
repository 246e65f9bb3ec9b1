"""What a change of keys means for the tokens that they signed."""
