"""Settling: one tick of readings becomes charges, counters and the state that follows them."""
