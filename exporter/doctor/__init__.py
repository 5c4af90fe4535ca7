"""The doctor: what this host lets us read, what it does not, and the mend."""
