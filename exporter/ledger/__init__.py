"""The ledger: what was charged, kept on disk through whatever happens to it."""
