"""The exporter: gathers, settles, keeps the ledger and serves what it says."""
