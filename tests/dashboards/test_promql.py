"""The lexer that tests of rules and panels stand on finds what it should, and nothing else."""

import pytest

from tests.dashboards.promql import names


def test_all_that_an_expression_names_is_found() -> None:
    """Metrics with their labels and the function around them, groupings, made labels, ranges."""
    expr = """
    sum by (workload, part) (
      label_replace(rate(cost_total{kind="a\\"b", state=~"x|y"}[$__rate_interval]), "part", "$1",
        "resource", "(.+)")
    ) / on (workload) group_left (owner) (max(info{}) > 2.5) offset 1d12h
    """
    found = names(expr)
    assert found.metrics == [
        ("cost_total", frozenset({"kind", "state"}), "rate"),
        ("info", frozenset(), "max"),
    ]
    assert found.labels == {"workload", "part", "owner"}
    assert found.made == {"part"}
    assert found.functions == {"sum", "label_replace", "rate", "max"}
    assert found.ranges == [("rate", "$__rate_interval")]


@pytest.mark.parametrize("expr", ["sum(up", "holt_winters(up[1h], 1, 1)", "up ~ 3", "up @ end()"])
def test_what_is_no_expression_for_every_store_is_refused(expr: str) -> None:
    """Broken ones, and functions that only some have."""
    with pytest.raises(ValueError, match=r"."):
        names(expr)
