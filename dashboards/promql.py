"""Pieces of PromQL that several rules use. Each takes and returns expressions as text."""

from collections.abc import Sequence
from textwrap import dedent, indent

from unitcost.dashboards.names import TARGET, WORKLOAD, Recorded, by
from unitcost.dashboards.rules.model import Recording
from unitcost.dashboards.settings import Settings, number


def block(text: str, **parts: str) -> str:
    """An expression of several lines: `text` with ``<name>`` replaced by `parts`, indented."""
    lines = []
    for line in dedent(text).strip("\n").splitlines():
        found = line.strip()
        if found.startswith("<") and found.endswith(">") and found[1:-1] in parts:
            lines.append(indent(parts[found[1:-1]], line[: len(line) - len(line.lstrip())]))
            continue
        for name, part in parts.items():
            line = line.replace(f"<{name}>", part)
        lines.append(line)
    return "\n".join(lines)


def once(expr: str) -> str:
    """Dollars, or what is held for them, without those that another exporter charges as well."""
    return f"{expr} unless on ({by(*TARGET)}) {Recorded.SECOND_CHARGE}"


def latch(record: str, on: Sequence[str], stay: str, enter: str, matchers: str = "") -> str:
    """Since when something holds: it begins with `enter`, and goes on while `stay` holds.

    So an alert that stands on it neither flaps at its threshold nor needs `keep_firing_for`, which
    not every ruler has. The value is that of `enter`, as it was when it began. `record` is the
    series this expression is recorded as; it reads what it said at the evaluation before.
    """
    own = f"{record}{{{matchers}}}" if matchers else record
    return block(
        """
        (
          <own>
          and on (<on>) (
            <stay>
          )
        )
        or on (<on>) (
          <enter>
        )
        """,
        own=own,
        on=by(*on),
        stay=stay,
        enter=enter,
    )


def owned(expr: str, settings: Settings) -> str:
    """`expr` with the owner of its workload as a label; the platform's team where there is none."""
    return block(
        """
        label_replace(
          (
            (
              <expr>
            )
            * on (<on>) group_left (owner) <info>
          )
          or (
            (
              <expr>
            )
            unless on (<on>) <info>
          ),
          "owner", "<team>", "owner", ""
        )
        """,
        expr=expr,
        on=by(*WORKLOAD),
        info=Recorded.OWNER,
        team=settings.team,
    )


def condition(name: str, on: Sequence[str], stay: str, enter: str) -> Recording:
    """Since when something holds that is told, as one series for all such conditions."""
    expr = latch(
        Recorded.CONDITION_SINCE,
        on,
        stay=stay,
        enter=block(
            """
            max by (<on>) (
              <enter>
            ) * 0 + time()
            """,
            on=by(*on),
            enter=enter,
        ),
        matchers=f'condition="{name}"',
    )
    return Recording(Recorded.CONDITION_SINCE, expr, {"condition": name})


def lasting(name: str, on: Sequence[str], seconds: float = 0) -> str:
    """The second half of an alert's expression: a condition that has held for so long."""
    series = f'{Recorded.CONDITION_SINCE}{{condition="{name}"}}'
    held = f"time() - {series} >= {number(seconds)}" if seconds else series
    return f"and on ({by(*on)}) ({held})"
