"""The fleet's ledger: takes what the agents of many hosts have charged."""
