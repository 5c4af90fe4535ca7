"""The pricing core: samples in, charges out. Pure: no clock, I/O, network or database."""
