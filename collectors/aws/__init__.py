"""What asking AWS takes: credentials, signatures, and its XML."""
