"""Serving: what the books say, as metrics over HTTP."""
