"""Generated Grafana dashboards, recording rules and alerts; `build.py` writes all of them."""
