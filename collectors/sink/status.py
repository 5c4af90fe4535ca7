"""What Hugging Face's callback for Kubeflow posts, in our words. All of it is untrusted.

The callback (transformers, `KubeflowCallback`) posts at the begin of training (0 %, `total_steps`
alone), then after a step but at most every 5 seconds (`current_step`, `total_steps`,
`current_epoch` to a hundredth, and what was logged last: `epoch`, `num_input_tokens_seen` …), and
at the end (100 %, only what was logged last). Values of metrics are texts.
"""

import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated
from urllib.parse import unquote

import msgspec

from unitcost.collectors.progress import amount_of, count_of
from unitcost.collectors.sink.server import Refused
from unitcost.pricing.training_sources import Progress
from unitcost.pricing.workload import clean_name

MAX_METRICS = 256
MAX_TARGET = 1024
_ROUNDED = 0.005
"""`current_epoch` may be off by as much."""


class _Metric(msgspec.Struct, frozen=True):
    name: str
    value: str


class _Trainer(msgspec.Struct, frozen=True, rename="camel"):
    progress_percentage: Annotated[int, msgspec.Meta(ge=0, le=100)] | None = None
    metrics: Annotated[tuple[_Metric, ...], msgspec.Meta(max_length=MAX_METRICS)] | None = None


class _Body(msgspec.Struct, frozen=True, rename="camel"):
    trainer_status: _Trainer


_DECODER = msgspec.json.Decoder(_Body)


@dataclass(frozen=True, slots=True)
class Status:
    """One post. `begins` and `ends`: it is the first, or the last, of a training."""

    progress: Progress
    total_steps: int | None = None
    begins: bool = False
    ends: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where it was posted to: the job, and the run if that was named."""

    job: str
    run: str = ""


def place_of(target: str) -> Place:
    """Job and run in ``/v1/jobs/<job>[/runs/<run>]``. Raises Refused for anything else."""
    parts = target.partition("?")[0].split("/")
    named = len(parts) == 4 or (len(parts) == 6 and parts[4] == "runs")
    if len(target) > MAX_TARGET or not named or parts[:3] != ["", "v1", "jobs"]:
        raise Refused(HTTPStatus.NOT_FOUND, "no path /v1/jobs/<job> or /v1/jobs/<job>/runs/<run>")
    names = [clean_name(unquote(part)) for part in parts[3::2]]
    if not all(names):
        raise Refused(HTTPStatus.NOT_FOUND, "job or run is blank")
    return Place(*names)


def status_of(body: bytes, wall_ns: int | None = None) -> Status:
    """The status in a body. Raises Refused for what is none."""
    try:
        told = _DECODER.decode(body).trainer_status
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(HTTPStatus.BAD_REQUEST, f"no status: {error}"[:200]) from None
    return told_status(
        told.progress_percentage,
        {each.name: each.value for each in told.metrics or ()},
        time.time_ns() if wall_ns is None else wall_ns,
    )


def told_status(percentage: int | None, metrics: dict[str, str], wall_ns: int) -> Status:
    """The status that a percentage and metrics by name make."""
    number = {name: _number(metrics.get(name)) for name in _USED}
    epoch = amount_of(number["epoch"])
    current = amount_of(number["current_epoch"])
    progress = Progress(
        wall_ns,
        count_of(number["current_step"]),
        epoch if current is None else current,
        count_of(number["num_input_tokens_seen"]),
    )
    steps, ends = progress.steps, percentage == 100
    return Status(
        progress,
        count_of(number["total_steps"]),
        begins=percentage == 0 and steps is None,
        ends=ends,
    )


_USED = ("current_step", "total_steps", "current_epoch", "epoch", "num_input_tokens_seen")


def final_steps(last: Progress | None, total: int | None, epochs: float | None) -> int | None:
    """The steps of a training that ended after `epochs`; None where they cannot be told.

    All there were to be, unless it ended earlier: then `epochs` are fewer than the pace of the
    `last` progress says of `total`, and the steps after that progress are not known.
    """
    if total is None or last is None or not last.steps or not last.epochs or epochs is None:
        return total
    expected = epochs * last.steps / last.epochs
    slack = total * _ROUNDED / last.epochs + 1
    return total if expected >= total - slack else last.steps


def _number(text: str | None) -> float | None:
    if text is None or len(text) > 64:
        return None
    try:
        return float(text)
    except ValueError:
        return None
