"""The options that a collector or a price source is made with, and the rules for their type."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from unitcost.exporter.config.decode import Mistake, decode
from unitcost.exporter.conformance.calls import described
from unitcost.exporter.conformance.report import Violation


def given_options(module: Any, given: Any) -> tuple[Any, list[Violation]]:
    """Options from an instance, plain values, or nothing; None where there can be none.

    And all that breaks the contract of a module's ``Options``.
    """
    type_ = getattr(module, "Options", None)
    if not isinstance(type_, type) or not issubclass(type_, msgspec.Struct):
        return None, [Violation("options", "there is no class Options that is a msgspec.Struct")]
    found = list(options_violations(type_))
    try:
        if given is None or isinstance(given, Mapping):
            given = decode(dict(given or {}), type_)
    except Mistake as mistake:
        where = ".".join(map(str, mistake.path)) or "the section"
        return None, [*found, Violation("options.decode", f"{where}: {mistake.problem}")]
    except Exception as error:  # noqa: BLE001 - its own checks are foreign code
        return None, [*found, Violation("options.decode", described(error))]
    return given, found


def options_violations(type_: type[msgspec.Struct]) -> Iterator[Violation]:
    """What is wrong with a class of options."""
    config = type_.__struct_config__
    if not config.frozen:
        yield Violation("options", "Options is not frozen")
    if not config.forbid_unknown_fields:
        yield Violation("options", "Options takes unknown keys: forbid_unknown_fields is missing")
    for each in msgspec.structs.fields(type_):
        if each.required:
            yield Violation(
                "options", f"{each.name} has no default: it must work without a section"
            )
        if each.encode_name == "enabled":
            yield Violation("options", "enabled is the exporter's own key of every section")
    if not type_.__doc__:
        yield Violation("options", "Options has no docstring that says what its keys mean")
