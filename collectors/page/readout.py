"""What is found in an exposition by a server's table: values by field, model and part."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from unitcost.pricing.sample import Kind, Layer, Outcome, Phase, Quantity, TokenType


@dataclass(frozen=True, slots=True)
class Field:
    """A field of `ServerTable` that becomes samples, and which."""

    name: str
    quantity: Quantity
    label: str = ""
    kind: Kind = Kind.COUNTER


FIELDS = (
    Field("requests_succeeded", Quantity.REQUESTS, Outcome.SUCCEEDED),
    Field("requests_failed", Quantity.REQUESTS, Outcome.FAILED),
    Field("requests_aborted", Quantity.REQUESTS, Outcome.ABORTED),
    Field("tokens_input", Quantity.TOKENS, TokenType.INPUT),
    Field("tokens_cached_input", Quantity.TOKENS, TokenType.CACHED_INPUT),
    Field("tokens_output", Quantity.TOKENS, TokenType.OUTPUT),
    Field("prefill_seconds", Quantity.PHASE_SECONDS, Phase.PREFILL),
    Field("decode_seconds", Quantity.PHASE_SECONDS, Phase.DECODE),
    Field("compute_seconds", Quantity.PHASE_SECONDS, Phase.COMPUTE),
    Field("request_seconds", Quantity.REQUEST_SECONDS),
    Field("requests_timed", Quantity.REQUESTS_TIMED),
    Field("failed_seconds", Quantity.OUTCOME_SECONDS, Outcome.FAILED),
    Field("aborted_seconds", Quantity.OUTCOME_SECONDS, Outcome.ABORTED),
    Field("failed_tokens", Quantity.OUTCOME_TOKENS, Outcome.FAILED),
    Field("aborted_tokens", Quantity.OUTCOME_TOKENS, Outcome.ABORTED),
    Field("requests_running", Quantity.REQUESTS_RUNNING, kind=Kind.GAUGE),
    Field("requests_waiting", Quantity.REQUESTS_WAITING, kind=Kind.GAUGE),
)


COUNTERS = tuple(each for each in FIELDS if each.kind is Kind.COUNTER)


@dataclass(frozen=True, slots=True)
class Key:
    """Whose value it is: the model, the replica or engine, and on whose behalf, if that is asked.

    The tenant is as the label has it: nothing of it may be shown before `tenant_name` has seen it.
    """

    model: str
    part: str
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class Value:
    """A value; `minuend` is what it was subtracted from, where it is a difference."""

    value: float
    minuend: float | None = None

    def plus(self, other: "Value") -> "Value":
        """The sum."""
        minuends = [each.minuend for each in (self, other) if each.minuend is not None]
        return Value(self.value + other.value, sum(minuends) if minuends else None)


@dataclass(frozen=True, slots=True)
class Birth:
    """When the counters stood at zero (Unix time, seconds), and a mark of that start.

    The mark changes whenever they start anew; it is empty where that cannot be told.
    """

    at: float | None
    mark: str


NO_BIRTH = Birth(None, "")


@dataclass(frozen=True, slots=True)
class Readout:
    """What a table found. A field that is in neither mapping is unknown: the server has none.

    `unusable` says for a field why it could not be used this time, though the server has it;
    `birth` is None where that holds for the birth. `dropped`: there were too many.
    `declared`: fields that a lazy server has, with a series or not yet. `tenants`: values that are
    told apart by tenant too, each a part of one in `values`. `lagging`: fields whose values are
    right only while no request is under way. `table`: a mark of the table that it was read by;
    `tenant_label`: which label's values the tenants are, if any.
    """

    values: Mapping[Field, Mapping[Key, Value]]
    unusable: Mapping[Field, str]
    birth: Birth | None
    dropped: bool
    layer: Layer = Layer.ENGINE
    declared: frozenset[Field] = frozenset()
    tenants: Mapping[Field, Mapping[Key, Value]] = field(default_factory=dict)
    lagging: frozenset[Field] = frozenset()
    table: str = ""
    tenant_label: str = ""
