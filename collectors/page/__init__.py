"""A metrics page: read, recognised, and turned into samples by a server's table."""
