"""Grafana dashboards, one module for each; built with grafanalib, put right in `normalise.py`."""
