"""Guards for web applications: access tokens for an API, the worker's deliveries for an executor.

One rule in `guards`, one adapter a framework; none is imported but the one that is used.
"""
