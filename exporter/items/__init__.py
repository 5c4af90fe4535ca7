"""The items file: read beside the ticks, whenever it changes."""
