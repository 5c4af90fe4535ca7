"""The configuration: its shape, and the one way in."""
