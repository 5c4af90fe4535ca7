"""Collectors: one file for each thing that can be read on a host."""
