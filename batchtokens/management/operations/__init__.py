"""The verbs of the command `operations`, one module each."""
