"""The ledger as a tree: sealed, proved, exported, verified, reconciled."""
