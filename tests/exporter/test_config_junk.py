"""Any junk at all is a configuration or one line of error, never another exception."""

import json
import re
from typing import Any

import msgspec
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

import unitcost.exporter.config.settings as settings_module
from unitcost.exporter.config.decode import fields
from unitcost.exporter.config.load import ConfigError, loads
from unitcost.exporter.config.settings import Settings
from unitcost.exporter.settling.rules import matcher_of, rules_of

HOME = {"HOME": "/nonexistent/home", "XDG_STATE_HOME": "/tmp"}  # noqa: S108 - never written to

# Words that a configuration is made of, so that junk gets past the first check.
_KEYS = sorted(
    {
        name
        for section in vars(settings_module).values()
        if isinstance(section, type) and issubclass(section, msgspec.Struct)
        for name in section.__struct_fields__
    }
)
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 100_000),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["none", "host", "auto", "vllm", "UTC", "(a", "2026-01-01T00:00:00Z", "/tmp"]),  # noqa: S108
)
_JUNK = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(_KEYS) | st.text(max_size=5), inner, max_size=4),
    ),
    max_leaves=20,
)


def _loads_or_says_why(text: str | bytes) -> None:
    try:
        loaded = loads(text, source="u.yaml", environ=HOME)
    except ConfigError as error:
        line = str(error)
        assert line.isprintable()
        assert re.match(r"u\.yaml(:\d+)?: .+: .+", line)
    else:
        assert isinstance(loaded.settings, Settings)
        rules_of(loaded.settings)
        matcher_of(loaded.settings)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
@example("\ufeff")
@example("%YAML 1.9\n---\n")
@example("%YAML 99999999999999999999.1\n---\na: 1")
@example('"\\xff"')
@example("&a *a")
@example("? ? ? a")
@example("!!map [1]")
def test_any_text_is_a_configuration_or_one_line_of_error(text: str) -> None:
    """Never another exception."""
    _loads_or_says_why(text)


@given(st.dictionaries(st.sampled_from(list(fields(Settings))), _JUNK, max_size=4))
def test_any_values_under_known_keys_are_a_configuration_or_one_line_of_error(
    junk: dict[str, Any],
) -> None:
    """JSON is YAML: nesting and types at random."""
    _loads_or_says_why(json.dumps(junk))


@given(st.binary(max_size=100))
def test_any_bytes_are_a_configuration_or_one_line_of_error(junk: bytes) -> None:
    """Also what is no text at all."""
    _loads_or_says_why(junk)


@given(_JUNK)
def test_what_a_yaml_writer_writes_is_read_back_or_refused(value: Any) -> None:
    """PyYAML's own output, in block style."""
    _loads_or_says_why(yaml.safe_dump(value, allow_unicode=True))
