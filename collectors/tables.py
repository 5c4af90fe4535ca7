"""A server's table: which metric of its exposition means what. The same type in code and YAML."""

from collections.abc import Iterator, Mapping

import msgspec

from unitcost.pricing.sample import Layer


class Term(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A sample name, the label values its series must have, and a scale.

    `labels` keeps only series whose label has one of the values given (``{"status": ("2xx",)}``);
    `without` drops series whose label has one of them. A value that ends in ``*`` stands for all
    that begin so; any other has no ``*`` in it. A label that a series lacks is empty.
    Matching series are summed for each model and part. `scale` turns the server's unit into ours
    (1e-6 for microseconds).
    """

    metric: str
    labels: Mapping[str, tuple[str, ...]] = {}
    without: Mapping[str, tuple[str, ...]] = {}
    scale: float = 1.0


class Series(Term, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where one quantity is found: the sums of a sample name, and what they are corrected by.

    It is there if the page has a series of `metric` that matches.
    """

    minus: str = ""
    """A second sample name with the same labels, subtracted (all prompt tokens minus cached).

    Each series needs its counterpart; where the difference is negative, it is unknown just then.
    """
    when_idle: bool = False
    """The value is right only while no request runs or waits: it is read then.

    Tokens made less those of finished requests are those of aborted ones, and of running ones.
    """
    plus: tuple[Term, ...] = ()
    """More sums, added for each model and part; one that the page lacks adds nothing."""
    less: tuple[Term, ...] = ()
    """More sums, subtracted for each model and part, whatever other labels they have.

    One that the page lacks is zero: for what is born with the first of its kind (a cached token,
    a failure). Where the difference is negative, it is unknown just then.
    """


class ServerTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One inference server. Each field lists alternatives, best first: the first that the

    exposition has is used. A field without any is unknown for this server, never zero.
    """

    name: str = ""
    marker: tuple[str, ...] = ()
    """Prefixes of sample names that no other server has; how `server: auto` recognises it."""
    yields_to: tuple[str, ...] = ()
    """Names of tables that are taken instead where a page has the markers of both.

    ``*`` stands for every table that does not say so itself.
    """
    layer: Layer = Layer.ENGINE
    """Where on a request's way it counts. Of several layers the outermost is billed."""
    processes: tuple[str, ...] = ()
    """Texts found in the command lines of its processes; how discovery knows where to look."""
    ports: tuple[int, ...] = ()
    """TCP ports it listens on unless told otherwise."""
    paths: tuple[str, ...] = ()
    """Paths of its metrics page, most usual first; ``/metrics`` where there are none."""
    advice: str = ""
    """For a server that has no metrics page: what to do instead. It has no fields then."""
    model_label: str = ""
    part_labels: tuple[str, ...] = ()
    """Labels that tell engines or replicas apart, which may start anew alone."""
    tenant_labels: tuple[str, ...] = ()
    """Labels that say on whose behalf a request was and hold no secret, the default one first."""
    requests_succeeded: tuple[Series, ...] = ()
    requests_failed: tuple[Series, ...] = ()
    requests_aborted: tuple[Series, ...] = ()
    tokens_input: tuple[Series, ...] = ()
    tokens_cached_input: tuple[Series, ...] = ()
    tokens_output: tuple[Series, ...] = ()
    prefill_seconds: tuple[Series, ...] = ()
    decode_seconds: tuple[Series, ...] = ()
    compute_seconds: tuple[Series, ...] = ()
    request_seconds: tuple[Series, ...] = ()
    requests_timed: tuple[Series, ...] = ()
    failed_seconds: tuple[Series, ...] = ()
    """Seconds of failed requests; they must be in `request_seconds` too."""
    aborted_seconds: tuple[Series, ...] = ()
    failed_tokens: tuple[Series, ...] = ()
    """Input and output tokens of failed requests; they must be in the token fields too."""
    aborted_tokens: tuple[Series, ...] = ()
    requests_running: tuple[Series, ...] = ()
    requests_waiting: tuple[Series, ...] = ()
    start_time_seconds: tuple[Series, ...] = ()
    """Unix time at which the server's counters stood at zero, if it says so.

    Where the exposition has none of them, the earliest ``_created`` sample of its counters.
    """
    lazy: bool = False
    """Series are born with their first request: a counter that the server declares (``# TYPE``),

    but has no series of yet for a model it has others of, is zero. Undeclared ones stay unknown.
    """

    def fields(self) -> Iterator[str]:
        """The names of the fields that have alternatives, in their order."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, tuple) and value and isinstance(value[0], Series):
                yield name


def renamed(table: ServerTable, old: str, new: str) -> ServerTable:
    """The table of a server whose metrics begin with `new` where this one's begin with `old`."""

    def name(metric: str) -> str:
        return new + metric.removeprefix(old) if metric.startswith(old) else metric

    def term(each: Term) -> Term:
        return msgspec.structs.replace(each, metric=name(each.metric))

    def series(each: Series) -> Series:
        return msgspec.structs.replace(
            each,
            metric=name(each.metric),
            minus=name(each.minus),
            plus=tuple(term(other) for other in each.plus),
            less=tuple(term(other) for other in each.less),
        )

    changes = {field: tuple(map(series, getattr(table, field))) for field in table.fields()}
    return msgspec.structs.replace(table, **changes)
