"""Inference servers: one file, one table of metric names each."""
