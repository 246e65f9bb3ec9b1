"""Commands that cross the apps, one a module."""
