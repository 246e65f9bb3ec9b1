"""What goes over the wire to other providers of identities; it knows no rows and no accounts.

Whatever a provider sends is refused with one error, FederationRefused, whose reason is for the log.
"""
