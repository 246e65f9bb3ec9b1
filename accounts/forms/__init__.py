"""Forms of the admin, and of the pages behind e-mails' links."""

# Characters of a password as it comes: normalising the marks of a long one takes seconds.
LONGEST_TYPED = 500
