"""Sums that are added and subtracted by model and part, whatever other labels they have."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from unitcost.collectors.page.table_reading import make_plan, read_table
from unitcost.collectors.tables import ServerTable, renamed

COUNTS = st.integers(0, 10**12)
MODELS = st.dictionaries(st.sampled_from("abcd"), COUNTS, max_size=4)


def table(**series: object) -> ServerTable:
    """A table whose output tokens are found by this."""
    fields = {"model_label": "m", "tokens_output": [{"metric": "all", **series}]}
    return msgspec.convert(fields, ServerTable)


def read(text: str, **series: object) -> dict[str, float] | str:
    """The output tokens by model, or why they are unknown."""
    readout = read_table(make_plan(table(**series)), text.encode())
    for reason in readout.unusable.values():
        return reason
    return {
        key.model: value.value for each in readout.values.values() for key, value in each.items()
    }


def page(metric: str, values: dict[str, int], label: str = "") -> str:
    """A series for each model, or two that share its value and differ in this label."""
    lines = []
    for model, n in values.items():
        shares = {f',{label}="x"': n // 2, f',{label}="y"': n - n // 2} if label else {"": n}
        lines += [f'{metric}{{m="{model}"{more}}} {share}\n' for more, share in shares.items()]
    return "".join(lines)


@given(MODELS, MODELS, MODELS)
def test_what_is_added_and_subtracted_is_summed_first(
    whole: dict[str, int], more: dict[str, int], less: dict[str, int]
) -> None:
    """By model; what is not there is zero; what would be negative is unknown."""
    text = page("all", whole, "stream") + page("more", more) + page("cached", less, "level")
    found = read(text, plus=[{"metric": "more"}], less=[{"metric": "cached"}])
    models = whole.keys() | more.keys() if whole else set()
    values = {m: whole.get(m, 0) + more.get(m, 0) - less.get(m, 0) for m in models}
    assert found == {model: value for model, value in values.items() if value >= 0}


def test_parts_of_one_metric_can_be_subtracted_from_another_part() -> None:
    """As OpenTelemetry's kinds of token: the cached ones are within the input."""
    text = 'all{m="a",t="input"} 10\nall{m="a",t="cached"} 4\nall{m="b",t="input"} 3\n'
    less = [{"metric": "all", "labels": {"t": ["cached"]}}]
    assert read(text, labels={"t": ["input"]}, less=less) == {"a": 6, "b": 3}


def test_each_term_has_a_scale_of_its_own() -> None:
    """Milliseconds less microseconds."""
    text = 'all{m="a"} 5000\nwaited{m="a"} 2000000\n'
    assert read(text, scale=1e-3, less=[{"metric": "waited", "scale": 1e-6}]) == {"a": 3}


def test_a_refused_line_of_a_term_makes_the_field_unknown() -> None:
    """What would be added or subtracted cannot be guessed."""
    text = 'all{m="a"} 5\nother{m="a"} NaN\n'
    for key in ("plus", "less"):
        assert read(text, **{key: [{"metric": "other"}]}) == (
            "other: a value is negative, not finite or too large"
        )


def test_a_difference_says_that_it_was_worked_out() -> None:
    """And from what, so that it is kept from falling; a sum of counters is a counter."""
    text = b'all{m="a"} 5\nother{m="a"} 2\n'
    for key, value, minuend in (("plus", 7, None), ("less", 3, 5)):
        plan = make_plan(table(**{key: [{"metric": "other"}]}))
        (found,) = (each for by in read_table(plan, text).values.values() for each in by.values())
        assert (found.value, found.minuend) == (value, minuend)


def test_a_table_is_renamed_in_every_name() -> None:
    """What begins otherwise keeps its name."""
    terms = {"minus": "vllm:b", "plus": [{"metric": "vllm:c"}], "less": [{"metric": "x"}]}
    fields = {"tokens_output": [{"metric": "vllm:a", "scale": 2, **terms}], "model_label": "m"}
    original = msgspec.convert(fields, ServerTable)
    (series,) = renamed(original, "vllm:", "ray_").tokens_output
    assert (series.metric, series.minus, series.scale) == ("ray_a", "ray_b", 2)
    assert [term.metric for term in series.plus + series.less] == ["ray_c", "x"]
    assert renamed(original, "none:", "x") == original
