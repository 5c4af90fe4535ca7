"""What the process says about itself: CPU, memory, open files, and requests answered.

prometheus_client makes them, in a registry of our own: nothing is shared with other code of the
process, and none of its platform or garbage collector metrics come along.
"""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from unitcost.exporter.serving.metrics_state import HTTP_REQUESTS

Answered = Callable[[], Mapping[tuple[str, int], int]]
"""Gives the number of HTTP answers so far, by path and status code."""


class SelfMetrics(Collector):
    """Makes `process_*` and the web server's counter, as text for `Renderer.render(extra=)`.

    `answered` is where the web server's counts come from (`WebServer.answered`); until it is
    set there are none, and no series.
    """

    def __init__(self) -> None:
        """Open a registry of its own."""
        self.answered: Answered = dict
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._registry.register(self)

    def text(self) -> bytes:
        """Give whole families in text format 0.0.4, read at this instant."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Yield the web server's counts, without the `_created` series a Counter would bring."""
        counts = self.answered()
        if counts:
            name = HTTP_REQUESTS.name.removesuffix("_total")
            family = CounterMetricFamily(name, HTTP_REQUESTS.help, labels=HTTP_REQUESTS.labels)
            for (path, code), count in sorted(counts.items()):
                family.add_metric((path, str(code)), count)
            yield family
