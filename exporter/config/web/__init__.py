"""The web configuration file that Prometheus' exporters share: who may read, and over what."""
