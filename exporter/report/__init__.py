"""`unitcost report`: what was charged, by whatever is asked for, and that nothing is missing."""
