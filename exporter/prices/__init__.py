"""This host's price, looked up: who it is, what sources say, and what of that is believed."""
