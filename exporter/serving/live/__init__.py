"""What the live page shows, as one JSON document made from the snapshot behind /metrics."""
