"""Gathering: collectors run side by side, and what they say is checked."""
