"""Tables of servers for any model against pages composed from documented names.

Every number is worked out by hand. The pages are `tests/captures/*.synthetic.prom`, and hold what
must not be counted as well: health checks, admin routes, the same request counted elsewhere.
"""

import pytest

from tests.collectors.growth import Growth, grown

EXPECTED: dict[str, Growth] = {
    # What the proxy answered, not what each deployment on the way did; no health checks.
    "ray-serve-2.60": {
        "default/a1": {
            "succeeded": (55 - 5) + 4,
            "failed": 3,
            "aborted": 2,
            "seconds": (6000 - 500 + 900 + 400 + 200) / 1000,
            "timed": 50 + 3 + 2 + 4,
            "failed_seconds": 0.9,
            "waiting": 3,
        },
        "text/a1": {"succeeded": 7, "seconds": 0.7, "timed": 7},
        "default/b1": {"running": 2},
        "default/b2": {"running": 1},
    },
    # Its count includes those that failed, and it says of no model how many those were.
    "torchserve-0.12": {
        "resnet/1.0": {"succeeded": 50, "compute": (5.4 - 1.1) - (0.4 - 0.1)},
        "bert/1.0": {"succeeded": 6, "compute": 0.75},
    },
    "tensorflow-serving-2.19": {
        "resnet": {
            "succeeded": 120,
            "failed": 3,
            "aborted": 2,
            "compute": 0.12,
            "seconds": 0.24,
            "timed": 125,
        },
        "bert": {
            "succeeded": 10,
            "failed": 0,
            "aborted": 0,
            "compute": 0.01,
            "seconds": 0.05,
            "timed": 10,
        },
    },
    # Runners and the names of before 1.0.6 count the same requests again.
    "bentoml-1.1": {
        "iris_classifier": {
            "succeeded": 50,
            "failed": 3 + 1,
            "seconds": 27,
            "timed": 54,
            "failed_seconds": 2,
            "running": 2,
        }
    },
    "kserve-0.21": {
        "iris": {
            "succeeded": 49,
            "failed": (52 + 1 - 50) - (1 - 1),
            "compute": 5,
            "seconds": (5.5 + 0.25 + 0.6 + 0.5) - 0.7,
            "timed": 52,
        },
        "wine": {
            "succeeded": 4,
            "failed": 0,
            "compute": 1.5,
            "seconds": 1.5 + 2.5 + 0.1 + 0.1,
            "timed": 4,
        },
    },
    # Metadata and readiness are no requests; a graph's packets are no tokens.
    "ovms-2025": {
        "resnet/1": {
            "succeeded": 100 + 20,
            "failed": 3,
            "compute": 0.6,
            "seconds": 1.15,
            "timed": 123,
            "running": 2,
        },
        "llm": {"succeeded": (31 - 1) - 1, "failed": 2 + 1, "running": 4},
    },
}


@pytest.mark.parametrize("name", EXPECTED)
def test_every_field_of_a_server_is_read_as_documented(name: str) -> None:
    """And no others: what is not here is unknown for that version."""
    found = grown(name)
    assert found == {whose: pytest.approx(each) for whose, each in EXPECTED[name].items()}


def test_the_model_s_own_page_comes_before_the_proxy_s_in_front_of_it() -> None:
    """KServe's aggregation shows both on one page; each can be named."""
    assert grown("kserve-and-queue-proxy") == grown("kserve-0.21")
    queue_proxy = grown("kserve-and-queue-proxy", "queue_proxy")
    assert queue_proxy == grown("knative-queue-proxy-1.18")
