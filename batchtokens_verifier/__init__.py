"""Accept operation tokens: verify them offline, redeem each slot once, act, settle.

Pure Python without Django. The authority itself uses these modules: one implementation.
"""
