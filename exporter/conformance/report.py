"""What a check of conformance found."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule that does not hold. `rule` is a stable short name; `detail` says what was seen."""

    rule: str
    detail: str


@dataclass(frozen=True, slots=True)
class Report:
    """All that was found of one collector or table. `notes` are to be known, not to be mended."""

    subject: str
    violations: tuple[Violation, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every rule holds."""
        return not self.violations

    def lines(self) -> Iterator[str]:
        """The report as it is printed; texts from outside are escaped."""
        yield _plain(f"{self.subject}: {'ok' if self.ok else 'NOT CONFORMING'}")
        for each in self.violations:
            yield _plain(f"  {each.rule}: {each.detail}")
        for note in self.notes:
            yield _plain(f"  note: {note}")


def _plain(text: str) -> str:
    return text if text.isprintable() else ascii(text)[1:-1]
