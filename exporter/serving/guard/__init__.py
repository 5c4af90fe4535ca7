"""Who is let in: a wrapper around any ASGI application, by a web configuration file."""
