"""Operation tokens: issue, queue, redeem at most once per slot, and the ledger that shows it."""
