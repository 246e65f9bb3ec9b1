"""Hold the two apps together: settings, addresses, errors, health, commands that cross them."""
