"""What can be done with operation tokens: a verb a module; the outermost opens the transaction."""
