"""Facts that come with the exporter: small tables, each row with its source and its date."""
