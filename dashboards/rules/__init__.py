"""Recording rules and alerts: one source for Prometheus, its operator, Mimir and Grafana."""
