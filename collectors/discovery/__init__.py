"""Servers that nobody configured: sockets, hints of what listens there, and pods that say so."""
