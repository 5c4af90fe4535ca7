"""The selective reader against the reference, prometheus_client's parser."""

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

import unitcost.collectors.page.exposition as exposition
from tests.collectors.hostile_pages import tables
from tests.collectors.mutations import TOKENS, mutations
from unitcost.collectors.page.exposition import VALUE_LIMIT, ExpositionError, Sample, read
from unitcost.collectors.page.table_reading import make_plan

CAPTURES = sorted((Path(__file__).parent.parent / "captures").glob("*.prom"))
MUTATIONS = 1_000_000 if os.environ.get("UNITCOST_LONG") == "1" else 20_000
Found = tuple[str, dict[str, str], float]


def reference(text: str) -> list[Found]:
    """All samples by the reference. Raises what it raises.

    It renames the samples of a counter declared without ``_total``; names are as they stand here.
    """
    plain = "\n".join(line for line in text.split("\n") if not line.startswith("#"))
    return [
        (sample.name, sample.labels, float(sample.value))
        for family in text_string_to_metric_families(plain)
        for sample in family.samples
    ]


def by_reference(line: str) -> list[Found] | None:
    """The sample on a line by itself; None where the reference refuses it."""
    try:
        return reference(line)
    except Exception:  # noqa: BLE001 - IndexError and others too: it is a peer, not our code
        return None


STRICTER = {
    "a value is negative, not finite or too large",
    "the labels are malformed",
    "something unknown stands after the value",
    "a label is too long",
    "a line is not UTF-8",
}
"""Why this reader may refuse a line by itself that the reference accepts."""


def is_lax(line: str) -> bool:
    """Whether labels that the reference accepts are of the kinds that this reader refuses.

    A term without a value in quotes, a comma where none belongs, or a name that is quoted in the
    middle of something else.
    """
    inner = line[line.find("{") + 1 :]
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', "''", inner, flags=re.DOTALL).partition("}")[0]
    terms = [term.strip() for term in bare.split(",")]
    if terms[-1] == "":
        terms.pop()
    return any(not re.fullmatch(r"(([a-zA-Z_:][a-zA-Z0-9_:]*|'')\s*=\s*)?''", t) for t in terms)


def compare(line: str, wanted: frozenset[str]) -> str:
    """Check one line against the reference; says what it was: read, refused, strict, other."""
    found = read(f"{line}\n".encode("utf-8", "surrogatepass"), wanted)
    ours = [tuple(sample) for samples in found.samples.values() for sample in samples]
    theirs = by_reference(line)
    usable = [item for item in theirs or () if item[0] in wanted]
    if ours:
        assert ours == usable, line
        return "read"
    if not usable:
        token = re.split(r"[ \t{]", line.strip(), maxsplit=1)[0].strip()
        if token:  # else the name stands in the braces, if there is one
            assert bool(found.rejected) == (token in wanted), line
        return "refused" if found.rejected else "other"
    if not found.rejected:  # the name stands in braces that were not read
        assert line.strip()[0] == "{", line
        assert is_lax(line) or re.search(r"[\ud800-\udfff]", line), line
        return "strict"
    (reason,) = found.rejected.values()
    assert reason in STRICTER, (line, reason)
    ((_, labels, value),) = usable
    if reason == "a value is negative, not finite or too large":
        assert not 0 <= value < VALUE_LIMIT, line
    elif reason == "the labels are malformed":
        assert is_lax(line), line
    elif reason == "a label is too long":
        assert max(map(len, [*labels, *labels.values()])) > exposition.MAX_LABEL_LENGTH, line
    elif reason == "a line is not UTF-8":
        assert re.search(r"[\ud800-\udfff]", line), line
    return "strict"


@pytest.mark.parametrize("capture", CAPTURES, ids=[file.stem for file in CAPTURES])
def test_a_capture_reads_as_by_the_reference(capture: Path) -> None:
    """Every name in it, wanted one by one and all together: the same samples in the same order."""
    body = capture.read_bytes()
    expected = reference(body.decode())
    unusable = {name for name, _, value in expected if not 0 <= value < VALUE_LIMIT}
    names = {name for name, _, _ in expected}
    whole = read(body, names)
    assert set(whole.rejected) == unusable
    for name in names - unusable:
        one = [item for item in expected if item[0] == name]
        assert [tuple(sample) for sample in whole.samples[name]] == one
        assert read(body, {name}).samples == {name: whole.samples[name]}
    assert read(body, set()).samples == {}
    assert read(body, {"nothing_by_this_name"}).samples == {}
    # Quantiles of nothing are NaN, limits that do not exist infinite: no table looks at those.
    assert not unusable & {name for table in tables() for name in make_plan(table).wanted}


def capture_lines() -> list[str]:
    """Sample lines of all captures, one of each name, and a few that captures lack."""
    found: dict[str, str] = {}
    for capture in CAPTURES:
        for line in capture.read_text(encoding="utf-8").splitlines():
            if line and line[0] != "#" and len(line) < 1000:
                found.setdefault(re.split(r"[ {]", line)[0], line)
    return [*found.values(), *EXTRA]


EXTRA = [
    'Requests2XX{Level="Host",Hostname="vm",} 31.0 1395066363000',
    ':tensorflow:serving:request_count{model_name="resnet",status="OK"} 128',
    'http_requests_total{handler="/v1/completions",status="2xx"} 50 # {trace_id="a b"} 1.0 1.5',
    'path_total{path="C:\\\\DIR\\\\",error="Cannot find \\"FILE\\"\\n{x}"} 1e3',
    '{"vllm:prompt_tokens_total",model_name="tiny"} 7',
    "plain 3",
]


def test_damaged_lines_read_as_by_the_reference() -> None:
    """Line by line: the same labels and value, or a refusal, but for what is listed as stricter."""
    lines = capture_lines()
    wanted = frozenset(re.split(r"[ {]", line)[0] for line in lines if line[0] != "{")
    outcomes = {"read": 0, "refused": 0, "strict": 0, "other": 0}
    for line in mutations(lines, MUTATIONS, seed=20261123):
        for part in line.split("\n"):
            if part.strip():
                outcomes[compare(part, wanted)] += 1
    # The comparison would be empty if damage left nothing to read, or broke nothing.
    assert min(outcomes.values()) > MUTATIONS / 400, outcomes


@given(st.text(st.sampled_from('ab:_{}=,"\\ \t#1.e-+Nnx'), max_size=40))
def test_any_line_of_a_name_reads_as_by_the_reference(rest: str) -> None:
    """What follows the name is put together from the characters that mean something."""
    compare(f"name{rest}", frozenset({"name"}))


def test_a_damaged_text_costs_only_the_names_on_damaged_lines() -> None:
    """All other names read as before."""
    body = (CAPTURES[0].parent / "vllm-cpu.after.prom").read_bytes()
    names = {name for name, _, _ in reference(body.decode())}
    whole = read(body, names).samples
    damaged = body.replace(b"vllm:generation_tokens_total{", b"vllm:generation_tokens_total{{")
    found = read(damaged, names)
    assert set(found.rejected) == {"vllm:generation_tokens_total"}
    assert found.samples == {
        name: samples for name, samples in whole.items() if name not in found.rejected
    }


@given(st.lists(st.sampled_from(TOKENS) | st.just("x_total") | st.text(max_size=5), max_size=30))
def test_any_text_gives_only_usable_numbers(pieces: list[str]) -> None:
    """Non-negative, finite, exact; and no exception but the typed one."""
    check_numbers("".join(pieces).encode("utf-8", "surrogatepass"))


@given(st.binary(max_size=200))
def test_any_bytes_give_only_usable_numbers(body: bytes) -> None:
    """The same for what is no text at all."""
    check_numbers(body + b"\nx_total " + body + b"\n")


def check_numbers(body: bytes) -> None:
    """Read and look at every number."""
    for samples in read(body, {"x_total", "x"}).samples.values():
        assert all(0 <= sample.value < VALUE_LIMIT for sample in samples)


def one(line: str) -> Sample | str:
    """The sample on a line that begins with ``x``, or why it was refused."""
    found = read(f"{line}\n".encode("utf-8", "surrogateescape"), {"x", ":x"})
    if found.rejected:
        (reason,) = found.rejected.values()
        return reason
    ((sample,),) = found.samples.values()
    return sample


@pytest.mark.parametrize(
    ("line", "labels", "value"),
    [
        ("x 1", {}, 1),
        ("x\t1", {}, 1),
        ("  x   1  ", {}, 1),
        ("x 1\r", {}, 1),
        ("x{} 1", {}, 1),
        ("x {} 1", {}, 1),
        ("x{}1", {}, 1),
        (":x 1", {}, 1),
        ('x{a="b",} 1', {"a": "b"}, 1),
        ('x{ a = "b" , c="d" , } 1', {"a": "b", "c": "d"}, 1),
        ('x{a="",b="{}#,=\\"\\\\\\n\\t"} 1', {"a": "", "b": '{}#,="\\\n\\t'}, 1),
        ('x{a="é"} 1', {"a": "é"}, 1),
        ('x{"a b"="c"} 1', {"a b": "c"}, 1),
        ('{"x",a="b"} 1', {"a": "b"}, 1),
        ('{a="b",__name__="x"} 1', {"a": "b"}, 1),
        ("x 1 1395066363000", {}, 1),
        ('x{a="b"} 1 1395066363.123', {"a": "b"}, 1),
        ('x 1 # {trace_id="a b"} 0.5', {}, 1),
        ('x{a="b"} 17 1520879607.789 # {trace_id="a"} 0.5 1520879607.7', {"a": "b"}, 17),
        ("x 1.79538363259e+09", {}, 1795383632.59),
        ("x +5", {}, 5),
        ("x -0", {}, 0),
        ("x 9007199254740991", {}, 2**53 - 1),
    ],
)
def test_a_sample_is_read(line: str, labels: dict[str, str], value: float) -> None:
    """In all the forms that servers use."""
    assert one(line) == Sample(":x" if line[0] == ":" else "x", labels, value)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("x", "a value is missing"),
        ("x ", "a value is missing"),
        ("x{}", "a value is missing"),
        ("x NaN", "a value is negative, not finite or too large"),
        ("x +Inf", "a value is negative, not finite or too large"),
        ("x -1", "a value is negative, not finite or too large"),
        ("x 1e400", "a value is negative, not finite or too large"),
        ("x 9007199254740992", "a value is negative, not finite or too large"),
        ("x one", "a value is no number"),
        ("x 1_000", "a value is no number"),
        ("x 0x10", "a value is no number"),
        ("x 1 then", "a value is no number"),
        ("x 1 2 3", "something unknown stands after the value"),
        ('x{a="b" 1', "the labels are malformed"),
        ('x{a="b} 1', "the labels are malformed"),
        ('x{a="b\\"} 1', "the labels are malformed"),
        ('x{a="b"c="d"} 1', "the labels are malformed"),
        ('x{a="b",,c="d"} 1', "the labels are malformed"),
        ('x{,a="b"} 1', "the labels are malformed"),
        ("x{a=b} 1", "the labels are malformed"),
        ("x{a=} 1", "the labels are malformed"),
        ("x{a} 1", "the labels are malformed"),
        ('x{0a="b"} 1', "the labels are malformed"),
        ('x{a-b="c"} 1', "the labels are malformed"),
        ('x{a="b",a="c"} 1', "a label is given twice"),
        ('x{__a="b"} 1', "a label has a reserved name"),
        ('x{__name__="x"} 1', "the name is given twice"),
        ('x y{a="b"} 1', "something stands between name and labels"),
        ('x{a="\udcff"} 1', "a line is not UTF-8"),
        ("x " + "1" * 20_000, "a line is too long"),
        ('x{a="' + "b" * 2000 + '"} 1', "a label is too long"),
        ("x{" + ",".join(f'l{i}="v"' for i in range(65)) + "} 1", "there are too many labels"),
    ],
)
def test_a_sample_is_refused(line: str, reason: str) -> None:
    """And the reason is said, without anything of the line."""
    assert one(line) == reason


def test_a_last_line_without_an_end_is_refused() -> None:
    """12 may be the beginning of 1234."""
    found = read(b"y 1\nx 12", {"x", "y"})
    assert found.rejected == {"x": "the last line has no end"}
    assert found.samples == {"y": [Sample("y", {}, 1)]}


def test_a_series_that_is_given_twice_is_refused() -> None:
    """In another order of its labels too; another series of the name is read."""
    body = b'x{a="1",b="2"} 1\nx{b="2",a="1"} 2\nx{a="2",b="2"} 3\n'
    found = read(body, {"x"})
    assert found.rejected == {"x": "a series is given twice"}
    assert [sample.value for sample in found.samples["x"]] == [1, 3]


def test_comments_and_names_that_begin_alike_are_no_samples() -> None:
    """Nor is the end of an OpenMetrics text."""
    body = b"# x 1\n  # x 2\n#x 3\nx_total 4\nxx 5\n# TYPE x counter\nx 6\n# EOF\n"
    assert read(body, {"x"}).samples == {"x": [Sample("x", {}, 6)]}


def test_too_much_is_refused_as_a_whole() -> None:
    """A part of the samples would make sums too small."""
    many = b"".join(b'x{a="%d"} 1\n' % i for i in range(exposition.MAX_SAMPLES + 1))
    with pytest.raises(ExpositionError, match="samples"):
        read(many, {"x"})
    assert read(many, {"y"}).samples == {}
    with pytest.raises(ExpositionError, match="lines"):
        read(b"\n" * (exposition.MAX_LINES + 1), {"x"})


@pytest.mark.parametrize(
    "line",
    [
        "x{" + 'a="' * 200_000,
        "x{" + 'a="b",' * 200_000,
        'x{a="' + "\\" * 1_000_000,
        "x" + " " * 1_000_000,
        "x{" + " " * 1_000_000,
        'x{a="b"' + " " * 1_000_000,
        "{" * 1_000_000,
        " " * 1_000_000 + "x 1",
    ],
)
def test_a_hostile_line_takes_no_longer_than_it_is(
    line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the cap on its length too: one that took quadratic time would not come back."""
    monkeypatch.setattr(exposition, "MAX_LINE_LENGTH", 10**9)
    assert read(f"{line}\n".encode(), {"x"}).samples.keys() <= {"x"}
