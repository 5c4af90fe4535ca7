"""Whether a price source keeps its contract (collectors/price_contract.py), by asking it."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from unitcost.collectors.price_contract import NotHere, PriceSourceError, SourceContext
from unitcost.exporter.conformance.calls import Caller, Outcome, described
from unitcost.exporter.conformance.options import given_options
from unitcost.exporter.conformance.report import Report, Violation
from unitcost.exporter.conformance.secrets import TOLD, logged, secrets_of
from unitcost.exporter.prices.accepted import MAX_TEXT, accepted, left_out, shape_problem
from unitcost.pricing.price import PriceModel
from unitcost.pricing.quote import HostIdentity, Quote

SECONDS = 20.0
GRACE_SECONDS = 1.0
"""How much later than its deadline a source may answer without being called late."""
MAKE_SECONDS = 3.0
MIN_REFRESH, MAX_REFRESH = 60.0, 31_536_000.0
DAY_NS = 24 * 3600 * 10**9
NOWHERE = HostIdentity("unitcost-conformance-nowhere", "here", "", "no-such-type", PriceModel.SPOT)
HOSTILE = "../../etc/passwd\r\nHost: 169.254.169.254 {%s} '\"; --"
NOT_HERE = "a host of another provider: expected NotHere, or no quotes"
MAX_CHAIN = 10


def check_price_source(
    module: Any,
    options: Any = None,
    identity: HostIdentity | None = None,
    *,
    name: str = "",
    seconds: float = SECONDS,
    folder: Path = Path("/"),
) -> Report:
    """Make the source of a module, ask it in several ways, and say what breaks the contract.

    `options`: an instance of the module's ``Options``, a section of the configuration as plain
    values, or None for the defaults. `identity`: a host of which it has prices. `name`: what it
    must be called, that of its entry point. `seconds`: what each question has. `folder`: what
    paths in the options are relative to; the content of files that options called ``*_file`` name
    must show in nothing that the source says.
    """
    found = _Check(name or str(getattr(module, "__name__", "price source")))
    given, violations = given_options(module, options)
    found.violations += violations
    if given is not None:
        found.run(module, given, identity, name, seconds, folder)
    return found.report()


@dataclass(slots=True)
class _Check:
    """One run over one source, and what it has found so far."""

    subject: str
    violations: list[Violation] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    secrets: tuple[str, ...] = ()

    def report(self) -> Report:
        """All of it, each thing once; what shows a secret is not shown again."""
        unique = tuple(dict.fromkeys(self.violations))
        safe = tuple(each for each in unique if not self._tells(each.detail))
        hidden = (Violation("secret", "an error of it shows a secret"),) if safe != unique else ()
        merged = tuple(dict.fromkeys((*safe, *hidden)))
        return Report(f"price source {self.subject}", merged, tuple(dict.fromkeys(self.notes)))

    def add(self, rule: str, detail: str) -> None:
        """A rule that does not hold."""
        self.violations.append(Violation(rule, detail))

    def run(
        self,
        module: Any,
        options: Any,
        identity: HostIdentity | None,
        name: str,
        seconds: float,
        folder: Path,
    ) -> None:
        """Make it, and ask it of a host it knows, of others, and with no time left."""
        self.secrets = tuple(secrets_of(options, folder))
        threads = set(threading.enumerate())
        with logged() as records:
            made = self._made(module, options, folder)
            if made and self._shape(source := made[0], name):
                caller = Caller()
                _Asked(self, caller, source, seconds).all(identity)
                caller.end(MAKE_SECONDS)
                self._threads(threads | {caller.thread})
        for record in records:
            self.unsaid("a line it logged", record)

    def unsaid(self, where: str, *texts: object) -> None:
        """Hold what it says against the secrets it was given."""
        for text in texts:
            if self._tells(_safe(text)):
                self.add("secret", f"{where} shows a secret")

    def _tells(self, text: str) -> bool:
        return any(secret[:TOLD] in text for secret in self.secrets)

    def _made(self, module: Any, options: Any, folder: Path) -> tuple[Any, ...]:
        """The source, if it could be made."""
        context = SourceContext(folder, time.time_ns)
        began = time.monotonic()
        try:
            source = module.make_source(options, context)
        except BaseException as error:  # noqa: BLE001 - foreign code may raise anything
            self.add("make", described(error))
            return ()
        if (took := time.monotonic() - began) > MAKE_SECONDS:
            self.add("make", f"took {took:.1f} s: what may take long belongs into quotes")
        return (source,)

    def _shape(self, source: Any, name: str) -> bool:
        problem = shape_problem(source, name or getattr(source, "name", ""))
        if problem:
            self.add("shape", problem)
            return False
        if not MIN_REFRESH <= source.refresh_seconds <= MAX_REFRESH:
            self.add("refresh", f"refresh_seconds must be {MIN_REFRESH:g} to {MAX_REFRESH:g}")
        self.unsaid("what it is printed as", repr(source))
        return True

    def _threads(self, known: set[threading.Thread]) -> None:
        """What still runs would keep a process that ends from ending."""
        for thread in set(threading.enumerate()) - known:
            if thread.is_alive() and not thread.daemon:
                self.add("threads", f"the thread {thread.name!r} runs on")


@dataclass(slots=True)
class _Asked:
    """A source that is asked. Each question is asked in one thread, with a limit."""

    check: _Check
    caller: Caller
    source: Any
    seconds: float
    down: bool = False

    def all(self, identity: HostIdentity | None) -> None:
        """Every question, until one is not answered: there must be no other after that."""
        if identity is None:
            self.check.notes.append("it was asked of no host that it knows: give one")
        elif not self._known(identity):
            return
        for host in (NOWHERE, HostIdentity()):
            outcome = self._ask(host)
            if outcome.late:
                return
            self._elsewhere(outcome)
        known = identity or NOWHERE
        odd = replace(known, region=HOSTILE, zone=HOSTILE, sku=HOSTILE)
        if self._ask(odd).late:
            return
        self._without_time(known)

    def _known(self, identity: HostIdentity) -> bool:
        """Ask twice of a host it knows; whether it may be asked on."""
        first = self._ask(identity)
        second = Outcome(late=True) if first.late else self._ask(identity)
        if second.late:
            return False
        self.down = isinstance(first.error, PriceSourceError)
        answers = [_quotes(each) for each in (first, second)]
        if not answers[0]:
            self.check.notes.append("it had no prices of this host: give one of which it has")
        for quotes in answers:
            self._sound(quotes, identity)
        sources = [{quote.source for quote in quotes} for quotes in answers]
        if all(answers) and sources[0] != sources[1]:
            self.check.add("quotes.source", "its sources are called otherwise each time")
        return self._together(identity, answers[1])

    def _together(self, identity: HostIdentity, alone: Sequence[Quote]) -> bool:
        """Of several hosts at once it says of one what it says of it alone; False: it was late."""
        ask = getattr(self.source, "quotes_of", None)
        if not callable(ask):
            return True
        deadline = time.monotonic() + self.seconds
        hosts = (identity, replace(identity, sku="no-such-type"))
        limit = self.seconds + GRACE_SECONDS
        outcome = self.caller.call(lambda: accepted(ask(hosts, deadline)), limit)
        self._judge(outcome)
        said, expected = (
            {(each.key, each.per_hour) for each in quotes} for quotes in (_quotes(outcome), alone)
        )
        if outcome.error is None and not outcome.late and said != expected:
            self.check.add("quotes_of", "of several hosts it says otherwise than of the one")
        return not outcome.late

    def _ask(self, identity: HostIdentity) -> Outcome:
        """One question with all the time there is; what was wrong with the answer is noted."""
        deadline = time.monotonic() + self.seconds
        limit = self.seconds + GRACE_SECONDS
        outcome = self.caller.call(lambda: self._answer(identity, deadline), limit)
        self._judge(outcome)
        return outcome

    def _answer(self, identity: HostIdentity, deadline: float) -> tuple[Quote, ...]:
        try:
            return accepted(self.source.quotes(identity, deadline))
        finally:
            self.check.unsaid("what it left out", left_out(self.source))

    def _judge(self, outcome: Outcome) -> None:
        error = outcome.error
        if outcome.late:
            self.check.add("deadline", f"no answer {GRACE_SECONDS:g} s after its deadline")
        elif isinstance(error, PriceSourceError):
            text = _safe(error)
            if not text or not text.isprintable() or len(text) > MAX_TEXT:
                self.check.add("error", f"an error is one line of at most {MAX_TEXT} characters")
            if text.startswith("the answer "):
                self.check.add("quotes", text)
        elif error is not None and not isinstance(error, NotHere):
            self.check.add("raises", described(error))
        for _ in range(MAX_CHAIN):
            if error is None:
                break
            self.check.unsaid("an error of it", error, *error.args)
            error = error.__cause__ or error.__context__

    def _elsewhere(self, outcome: Outcome) -> None:
        """Off its cloud it has nothing to say, which is no error.

        One that is for every provider, and cannot be reached just now, says so to everybody.
        """
        if isinstance(outcome.error, PriceSourceError) and not self.down:
            self.check.add("not_here", f"{NOT_HERE}, got an error")
        elif _quotes(outcome):
            self.check.add("not_here", f"{NOT_HERE}, got quotes")

    def _without_time(self, identity: HostIdentity) -> None:
        """With no time left it must not begin to wait for anybody."""
        past = time.monotonic() - 1
        outcome = self.caller.call(lambda: self._answer(identity, past), GRACE_SECONDS)
        if outcome.late:
            self.check.add("deadline", f"no answer {GRACE_SECONDS:g} s after it had no time left")
        else:
            self._judge(outcome)

    def _sound(self, quotes: Sequence[Quote], identity: HostIdentity) -> None:
        """What types cannot say of quotes."""
        now_ns = time.time_ns()
        for quote in quotes:
            if quote.key.provider != identity.provider:
                self.check.add("quotes.provider", f"a quote of {quote.key.provider[:40]!r}")
            if not 0 < quote.as_of_ns <= now_ns + DAY_NS:
                self.check.add("quotes.as_of", "a quote does not say when it was stated")
            if not 0 < quote.known_at_ns <= now_ns + DAY_NS:
                self.check.add("quotes.known_at", "a quote does not say when it was learnt")
            self.check.unsaid("a quote", quote)


def _quotes(outcome: Outcome) -> tuple[Quote, ...]:
    return outcome.result or ()


def _safe(thing: object) -> str:
    try:
        return str(thing)
    except Exception:  # noqa: BLE001 - its own __str__ raised
        return type(thing).__name__
