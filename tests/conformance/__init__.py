"""Makes the published vectors of docs/vectors/, for whoever writes a verifier in another language.

`python -m tests.conformance` writes them, and needs none of the code under test to do so.
"""
