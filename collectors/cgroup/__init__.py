"""Control groups of containers: where they are, what their files say."""
