"""What a target says is counted of an endpoint: models, one phase, whose requests; and layers."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.collectors.raw_server import capture
from unitcost.collectors.base import Problem, Reading, Target
from unitcost.collectors.page.endpoint import Endpoint, Instant
from unitcost.collectors.page.table_reading import make_plan, read_table
from unitcost.collectors.page.tenant_names import tenant_name
from unitcost.collectors.servers import litellm
from unitcost.collectors.tables import Series, ServerTable
from unitcost.pricing.sample import NS_PER_SECOND, Layer, Quantity, Sample
from unitcost.pricing.workload import WorkloadKind, clean_name

TABLE = ServerTable(
    name="gate",
    layer=Layer.GATEWAY,
    model_label="model",
    tenant_labels=("team",),
    requests_succeeded=(Series(metric="ok_total"),),
    tokens_input=(Series(metric="in_total"),),
    tokens_output=(Series(metric="out_total"),),
    request_seconds=(Series(metric="seconds_total"),),
    failed_seconds=(Series(metric="failed_seconds_total"),),
    failed_tokens=(Series(metric="failed_tokens_total"),),
    prefill_seconds=(Series(metric="prefill_seconds_total"),),
    decode_seconds=(Series(metric="decode_seconds_total"),),
    lazy=True,
)
SECONDS = ("request_seconds", "outcome_seconds")
WASTED = "outcome_tokens"
HASH = "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b"
PAGE = """\
# TYPE ok_total counter
ok_total{model="a",team="search",user="u1",hashed_api_key="HASH"} 3
ok_total{model="a",team="ads",user="u1"} 2
ok_total{model="a",team="",user="sk-verysecretkey"} 1
ok_total{model="b",team="search",user="u2"} 4
# TYPE in_total counter
in_total{model="a",team="search"} 30
# TYPE out_total counter
out_total{model="a",team="search"} 7
prefill_seconds_total{model="a"} 1
seconds_total{model="a"} 9
failed_seconds_total{model="a"} 2
failed_tokens_total{model="a"} 3
decode_seconds_total{model="a"} 2
""".replace("HASH", HASH)


def read(page: str = PAGE, table: ServerTable = TABLE, **fields: Any) -> Reading:
    """A page as an endpoint of this target reads it."""
    target = Target("http://127.0.0.1/", "chat", WorkloadKind.INFERENCE, **fields)
    label = target.tenant_label if target.by_tenant else None
    readout = read_table(make_plan(table), page.encode(), label)
    return Endpoint(target).read(readout, Instant(NS_PER_SECOND, NS_PER_SECOND))


def requests(samples: tuple[Sample, ...]) -> dict[tuple[str, str], float]:
    """Requests by model and tenant."""
    return {
        (each.model, each.tenant): each.value
        for each in samples
        if each.quantity is Quantity.REQUESTS
    }


def test_models_that_are_another_workload_s_are_left_out() -> None:
    """A gateway that several workloads share is one target of each."""
    assert requests(read(models=("b",)).samples) == {("b", ""): 4}
    assert read(models=("b",)).subjects[0].model == "b"
    ids = {Target("http://x/", "w", WorkloadKind.OTHER, models=m).id for m in ((), ("a",), ("b",))}
    assert len(ids) == 3


@pytest.mark.parametrize(
    ("role", "kept"),
    [
        (
            "",
            {"requests", "tokens/input", "tokens/output", "prefill", "decode", *SECONDS, WASTED},
        ),
        ("prefill", {"tokens/input", "prefill", WASTED}),
        ("decode", {"requests", "tokens/output", "decode", *SECONDS, WASTED}),
    ],
)
def test_each_pool_of_a_disaggregated_server_counts_its_own_part(role: str, kept: set[str]) -> None:
    """Each request goes through both, and is one request."""
    reading = read(role=role)
    found = {
        f"tokens/{each.label}"
        if each.quantity is Quantity.TOKENS
        else str(each.label)
        if each.quantity is Quantity.PHASE_SECONDS
        else str(each.quantity)
        for each in reading.samples
    }
    assert found == kept
    claimed = {each.quantity for each in reading.samples}
    assert reading.subjects[0].claims == claimed


def test_tenants_are_told_apart_only_where_that_is_asked() -> None:
    """By the table's label or the one given; without one in the series it is nobody's."""
    assert {tenant for _, tenant in requests(read().samples)} == {""}
    by_team = requests(read(by_tenant=True).samples)
    assert by_team == {
        ("a", ""): 6,
        ("b", ""): 4,
        ("a", "search"): 3,
        ("a", "ads"): 2,
        ("b", "search"): 4,
    }
    by_user = requests(read(by_tenant=True, tenant_label="user").samples)
    assert by_user["a", "u1"] == 5
    plain = ServerTable(name="plain", requests_succeeded=TABLE.requests_succeeded)
    assert {t for _, t in requests(read(table=plain, by_tenant=True).samples)} == {""}


def test_a_key_or_its_hash_is_never_a_name() -> None:
    """It is counted as a problem, without its value, unless the configuration says a name."""
    reading = read(by_tenant=True, tenant_label="user")
    assert "sk-verysecretkey" not in str(reading)
    assert [each.kind for each in reading.problems] == ["nameless_tenant"]
    hashed = read(by_tenant=True, tenant_label="hashed_api_key")
    assert HASH not in str(hashed)
    named = read(by_tenant=True, tenant_label="hashed_api_key", tenant_names={HASH: "batch"})
    assert requests(named.samples)["a", "batch"] == 3
    assert HASH not in str(named)


def test_two_values_under_one_name_are_one_tenant() -> None:
    """Else the second would be taken for a duplicate and left out."""
    names = {"search": "product", "ads": "product"}
    assert requests(read(by_tenant=True, tenant_names=names).samples)["a", "product"] == 5


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("search", True),
        ("team-7 (Berlin)", True),
        ("maya@example.com", True),
        ("123e4567-e89b-12d3-a456-426614174000", True),
        ("sk-proj-abcdefgh12345", False),
        ("ghp_0123456789abcdefABCD", False),
        ("AIza" + "b7-Q_" * 7, False),
        ("AKIA" + "7XQ2" * 4, False),
        ("glpat-0123456789abcdefABCD", False),
        ("Asia-Pacific sales and support", True),
        (HASH, False),
        (HASH.upper(), False),
        (f"sha256:{HASH}", False),
        ("eyJhbGciOi.eyJzdWIiOiIx.c2lnbmF0dXJl", False),
        ("Bearer abc", False),
        ("A" * 44, False),
    ],
)
def test_what_is_taken_for_a_secret(text: str, shown: bool) -> None:
    """Keys by their vendors' prefixes, hashes, tokens; names and UUIDs are shown."""
    assert tenant_name(text, {}) == (text if shown else None)
    assert tenant_name(text, {text: "somebody"}) == "somebody"


def test_litellm_s_none_is_nobody() -> None:
    """What a real one wrote for requests without a team, or without an end user."""
    page = capture("litellm.after").decode()
    gate: dict[str, Any] = {"table": litellm.SERVER, "by_tenant": True}
    assert {tenant for _, tenant in requests(read(page, **gate).samples)} == {""}
    users = requests(read(page, **gate, tenant_label="end_user").samples)
    assert {tenant for _, tenant in users} == {"", "alice", "bob"}
    named = read(page, **gate, tenant_names={"None": "nobody in particular"})
    assert {tenant for _, tenant in requests(named.samples)} == {"", "nobody in particular"}


@given(st.text(max_size=300))
def test_a_tenant_s_name_is_always_a_name(text: str) -> None:
    """Printable, short, and never reserved."""
    found = tenant_name(text, {})
    assert found in (None, "", clean_name(text))


def test_a_server_claims_what_it_declares_before_it_has_a_series_of_it() -> None:
    """A gateway is there before its first request; what comes later must not be billed twice."""
    declared = "".join(line + "\n" for line in PAGE.splitlines() if line.startswith("#"))
    subject = read(declared + "process_start_time_seconds 1\n").subjects[0]
    assert subject.layer is Layer.GATEWAY
    assert subject.claims == {Quantity.REQUESTS, Quantity.TOKENS}
    assert read(layer=Layer.FRONTEND).subjects[0].layer is Layer.FRONTEND


def test_a_server_that_does_not_answer_claims_what_it_did() -> None:
    """That it is away makes nobody else count for it."""
    endpoint = Endpoint(Target("http://127.0.0.1/", "chat", WorkloadKind.INFERENCE))
    endpoint.read(read_table(make_plan(TABLE), PAGE.encode()), Instant(1, 1))
    (subject,) = endpoint.down(Problem("late", "not read in time")).subjects
    assert Quantity.TOKENS in subject.claims
    assert subject.layer is Layer.GATEWAY


def test_another_way_of_reading_is_told() -> None:
    """Then a counter that is new to us may have a history."""
    renamed = msgspec.structs.replace(TABLE, tokens_output=(Series(metric="other_total"),))
    elsewhere = msgspec.structs.replace(TABLE, ports=(1,), advice="", name="else")
    named = read(by_tenant=True, tenant_names={"search": "product"})
    (plain,) = read().subjects
    assert read(PAGE.replace("3", "5")).subjects[0].reading == plain.reading
    assert read(table=elsewhere).subjects == (plain,)
    ways = [read(table=renamed), read(role="prefill"), read(PAGE + 'out_total{model="a"} x\n')]
    assert len({plain.reading, *(each.subjects[0].reading for each in ways)}) == 4
    asked = [read(by_tenant=True), read(by_tenant=True, tenant_label="user"), named]
    assert {each.subjects[0].reading for each in asked} == {plain.reading}
    assert len({plain.tenancy, *(each.subjects[0].tenancy for each in asked)}) == 4
