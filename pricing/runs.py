"""Training runs: what each cost so far, what each epoch cost, and how far it has come."""

from dataclasses import dataclass, field, replace

from unitcost.pricing import projection
from unitcost.pricing.lost_money import Lost, repeated
from unitcost.pricing.projection import Pace, Progress
from unitcost.pricing.sample import EpochMark


@dataclass(frozen=True, slots=True)
class Cost:
    """Pico-dollars allocated, and of those used; either is None where it is not known."""

    pico: int | None = 0
    used_pico: int | None = 0

    def plus(self, other: "Cost") -> "Cost":
        """The sum; unknown if either part is."""
        return Cost(_add(self.pico, other.pico), _add(self.used_pico, other.used_pico))

    def minus(self, other: "Cost") -> "Cost":
        """The difference; unknown if either part is."""
        return Cost(_subtract(self.pico, other.pico), _subtract(self.used_pico, other.used_pico))

    def per(self, count: float) -> tuple[float | None, float | None]:
        """Pico-dollars for each of `count`."""
        pico = None if self.pico is None else self.pico / count
        return pico, None if self.used_pico is None else self.used_pico / count


def _add(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else a + b


def _subtract(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else a - b


@dataclass(frozen=True, slots=True)
class Place:
    """How far a run has come since its very first step; None: nobody counts that here."""

    steps: float | None = None
    epochs: float | None = None

    def of(self, unit: Progress) -> float | None:
        """By one count."""
        return self.steps if unit is Progress.STEPS else self.epochs

    def furthest(self, other: "Place") -> "Place":
        """The later of two places, for each count."""
        return Place(_later(self.steps, other.steps), _later(self.epochs, other.epochs))

    def beyond(self, other: "Place") -> bool:
        """Whether it is further by a count that both have."""
        pairs = ((self.steps, other.steps), (self.epochs, other.epochs))
        return any(a > b for a, b in pairs if a is not None and b is not None)


def _later(a: float | None, b: float | None) -> float | None:
    return b if a is None else a if b is None else max(a, b)


@dataclass(frozen=True, slots=True)
class Run:
    """One training run on this host.

    `total` is what is known of its cost: None until something was priced. `at_mark` is the total
    at its last epoch mark (or at its birth, if that was inside metered time); None until one is
    known. `epoch_cost` is what the last complete epoch cost, held until the next mark; `whole`
    says whether the time since the mark was all metered and priced, `used_whole` whether it was
    always known what was used.

    All these are as first charged; `corrected_pico` is what prices that were learnt late change.

    `place` is where its present attempt is, `peak` how far any earlier one got. `moved`: the
    present attempt has got somewhere, or nobody saw it begin. `attempts`: how many there were.
    `tells_again`: nothing speaks against it that all that was done again was seen.
    """

    workload: str
    run: str
    attempt: int = 0
    total: Cost = Cost(None, None)
    last_epoch: float = 0.0
    at_mark: Cost | None = None
    whole: bool = True
    used_whole: bool = True
    epoch_cost: Cost | None = None
    epochs_in_cost: float = 1.0
    last_charged_ns: int = 0
    since_ns: int = 0
    attempts: int = 1
    place: Place = Place()
    peak: Place = Place()
    moved: bool = True
    tells_again: bool = True
    lost: Lost = field(default_factory=Lost)
    pace: Pace | None = None
    corrected_pico: int = 0

    @property
    def cost_pico(self) -> int | None:
        """What it has cost so far, prices that were learnt late included; None if not known."""
        if self.total.pico is None and not self.corrected_pico:
            return None
        return (self.total.pico or 0) + self.corrected_pico


def begin(
    workload: str, run: str, attempt: int, resumed_epoch: float, since_ns: int, *, from_birth: bool
) -> Run:
    """A run at first sight; only one seen from its birth has a known start of its first epoch."""
    return Run(
        workload,
        run,
        attempt,
        last_epoch=resumed_epoch,
        at_mark=Cost() if from_birth else None,
        since_ns=since_ns,
        attempts=attempt + 1,
        moved=not from_birth,
    )


def is_later(
    run: Run, attempt: int, born_ns: int | None, *, running: bool | None, joins: bool = True
) -> bool:
    """Whether a process belongs to a later attempt than the run's present one.

    Its number says so; but where the files that it is counted from were lost, it begins anew:
    then that a process works on it, as far as can be seen, which was born after the run was last
    charged. With the present number it can be a rank that comes late: `joins`, another process is
    told of that was there before.
    """
    if attempt > run.attempt or born_ns is None:
        return attempt > run.attempt
    if running is False or born_ns <= run.last_charged_ns:
        return False
    return attempt < run.attempt or (not joins and born_ns > run.since_ns)


def last_known_ns(run: Run) -> int:
    """When a process is known to have worked on it last, Unix nanoseconds."""
    return max(run.last_charged_ns, run.since_ns)


def resume(
    run: Run, attempt: int, resumed: Place, *, from_birth: bool = True, born_ns: int | None = None
) -> Run:
    """The run goes on as another attempt from `resumed`; its total goes on too.

    `born_ns`: when its process was born, where that alone tells it from the attempt before.
    A count stays unknown until it is read if nobody kept it here before, or where the attempt
    resumed from nothing: so say those too who do not know.
    """
    peak = run.peak.furthest(run.place)
    tells_again = run.tells_again and not _begins_anew(peak, resumed)
    place = Place(
        None if run.place.steps is None else resumed.steps or None,
        None if run.place.epochs is None else resumed.epochs or None,
    )
    return replace(
        _marked(run),
        attempt=attempt,
        attempts=max(run.attempts, run.attempt + 1) + max(attempt - run.attempt, 1),
        last_epoch=resumed.epochs or 0.0,
        last_charged_ns=max(run.last_charged_ns, born_ns or 0),
        peak=peak,
        place=place,
        tells_again=tells_again,
        moved=not from_birth,
        pace=run.pace and projection.again(run.pace, place.of(run.pace.unit)),
    )


def _begins_anew(peak: Place, resumed: Place) -> bool:
    """Whether an attempt says at which step it resumes, and only its epochs are counted here.

    They may count from there on.
    """
    only_epochs = peak.steps is None and (peak.epochs or 0) >= 1
    return only_epochs and bool(resumed.steps) and not resumed.epochs


def _marked(run: Run) -> Run:
    """The run at the start of an epoch."""
    at_mark = Cost(run.total.pico or 0, run.total.used_pico or 0)
    return replace(run, at_mark=at_mark, whole=True, used_whole=True)


def charge(run: Run, cost: Cost, at_ns: int) -> Run:
    """Add what was charged; unpriced cost leaves the total and spoils the current epoch."""
    if cost.pico is None:
        return replace(spoil(run), last_charged_ns=at_ns)
    known = cost.used_pico is not None
    total = Cost(
        (run.total.pico or 0) + cost.pico, (run.total.used_pico or 0) + (cost.used_pico or 0)
    )
    used_whole = run.used_whole and known
    return replace(run, total=total, used_whole=used_whole, last_charged_ns=at_ns)


def spoil(run: Run) -> Run:
    """Part of the current epoch was not metered: it will have no cost of its own."""
    return replace(run, whole=False, pace=run.pace and projection.interrupt(run.pace))


def mark(run: Run, at: EpochMark) -> Run:
    """Take an epoch mark at which `run.total` stands; epochs since the last share equally.

    A mark from before the run was metered only says where it is.
    """
    count = at.epoch - run.last_epoch
    if count <= 0:
        return run
    if at.wall_ns < run.since_ns:
        return replace(run, last_epoch=at.epoch, at_mark=None, epoch_cost=None)
    cost = None
    if run.at_mark is not None and run.whole and run.total.pico is not None:
        cost = run.total.minus(run.at_mark)
        if not run.used_whole:
            cost = replace(cost, used_pico=None)
    return replace(_marked(run), last_epoch=at.epoch, epoch_cost=cost, epochs_in_cost=count)


def counts_again(run: Run) -> Progress | None:
    """By which count it can be told what the present attempt does again; None: there is none."""
    known = (unit for unit in Progress if run.place.of(unit) is not None and run.peak.of(unit))
    return next(known, None)


def reach(run: Run, to: Place, pico: int, *, at_work: bool) -> Run:
    """The present attempt has come to `to` (never back) and was charged `pico` on the way.

    What of that went into steps which an earlier attempt had done is lost. Before the attempt got
    anywhere it was loading, not repeating; `at_work`: its processes say that it did. An attempt
    that shows up where the earlier ones had got to may be told of by somebody who leaves out what
    is done again.
    """
    before = run.place
    after = before.furthest(to)
    moved = run.moved or at_work or after.beyond(before)
    run = replace(run, place=after, moved=moved) if (after, moved) != (before, run.moved) else run
    unit = counts_again(run)
    if unit is None:
        return run
    was, now, peak = before.of(unit), after.of(unit) or 0.0, run.peak.of(unit) or 0.0
    if was is None and now >= peak:
        return replace(run, tells_again=False)
    again = repeated(pico, now if was is None else was, now, peak) if moved else 0
    return (
        replace(run, lost=replace(run.lost, repeated=run.lost.repeated + again)) if again else run
    )
