"""From this host's ledger to the fleet's: what is sent, and who sends it."""
