"""Generated Grafana dashboards and alert rules."""
