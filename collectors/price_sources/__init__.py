"""Price sources: one file each; what they say is a quote or nothing, never a guess."""
