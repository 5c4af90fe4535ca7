"""What is told: one file for each kind of thing, as in the rules for Prometheus."""
