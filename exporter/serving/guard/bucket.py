"""A token bucket, as exporter-toolkit's `rate_limit`: for all clients together."""

import time

from unitcost.exporter.config.web.settings import RateLimit


class Bucket:
    """Lets through `burst` requests at once, and one more every so many seconds."""

    def __init__(self) -> None:
        """Full, whatever the limit."""
        self._limit: RateLimit | None = None
        self._tokens = 0.0
        self._at = 0.0

    def takes(self, limit: RateLimit | None) -> bool:
        """Whether one more is let through now; a limit that changed begins anew."""
        if limit is None:
            return True
        now = time.monotonic()
        if limit != self._limit:
            self._limit, self._tokens, self._at = limit, float(limit.burst), now
        earned = (now - self._at) / limit.seconds
        self._tokens, self._at = min(self._tokens + earned, float(limit.burst)), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
