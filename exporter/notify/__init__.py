"""Telling people: what is wrong now, in words, to Slack or a webhook, once."""
