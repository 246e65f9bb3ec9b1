"""Commands that cross the apps."""
