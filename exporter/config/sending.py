"""What types cannot say about where an agent sends its charges to."""

from collections.abc import Iterator

from unitcost.collectors.address import is_loopback, parse_url
from unitcost.exporter.config.decode import Mistake
from unitcost.exporter.config.host import secret_problem
from unitcost.exporter.config.settings import Central


def sending_mistakes(central: Central | None) -> Iterator[Mistake]:
    """An address that would give the token away, files that are not there; paths are absolute."""
    if central is None:
        return
    try:
        place = parse_url(central.url)
    except ValueError as error:
        yield Mistake(("central", "url"), str(error))
        return
    if place.scheme != "https" and not is_loopback(place.host):
        yield Mistake(("central", "url"), "must be https: a token goes with each request")
    if place.target != "/":
        yield Mistake(("central", "url"), "must have no path")
    for name in ("token_file", "ca_file"):
        if problem := secret_problem(getattr(central, name)):
            yield Mistake(("central", name), problem)
    if not central.token_file:
        yield Mistake(("central", "token_file"), "must not be empty")
