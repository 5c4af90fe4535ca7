"""Power meters: where they are, and from power to energy."""
