"""Traces of requests: a real one where it is at hand, and one that is made up in its likeness."""

import csv
import math
import os
import random
from datetime import datetime
from pathlib import Path

import pytest

from tests.e2e.batching import Request

AZURE = "azure_llm_inference_2023_conv.csv"
AZURE_REQUESTS = 19_366
_MISSING = "UNITCOST_TRACES names no folder with " + AZURE


def azure_trace() -> list[Request]:
    """One hour of a chat service: Azure LLM inference trace 2023, CC-BY 4.0; not in the repository.

    Source: github.com/Azure/AzurePublicDataset, AzureLLMInferenceTrace_conv.csv; P. Patel et al.,
    "Splitwise: Efficient generative LLM inference using phase splitting", ISCA 2024. Skips where
    it is not at hand.
    """
    path = Path(os.environ.get("UNITCOST_TRACES") or "/nonexistent") / AZURE
    if not path.exists():
        pytest.skip(_MISSING)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    first = _nanoseconds(rows[0]["TIMESTAMP"])
    return [
        Request(
            _nanoseconds(row["TIMESTAMP"]) - first,
            int(row["ContextTokens"]),
            int(row["GeneratedTokens"]),
        )
        for row in rows
    ]


def _nanoseconds(text: str) -> int:
    """A time with seven digits after the point, as .NET writes it."""
    whole, _, part = text.partition(".")
    return round(datetime.fromisoformat(f"{whole}+00:00").timestamp()) * 10**9 + int(
        part.ljust(9, "0")
    )


def synthetic_trace(seconds: float, seed: int = 2023) -> list[Request]:
    """So many seconds in the likeness of the real one; the same for the same seed.

    About 5.5 requests a second that come in waves, prompts of 1,020 tokens in the middle and 2 to
    14,050 at the ends, answers of 129 and 7 to 1,000.
    """
    rng = random.Random(seed)
    found: list[Request] = []
    at = 0.0
    while True:
        rate = 5.5 * (1 + 0.4 * math.sin(at / 40))
        at += rng.expovariate(rate) if found else 0.0
        if at >= seconds:
            return found
        prompt = round(rng.lognormvariate(math.log(1020), 0.9))
        answer = round(rng.lognormvariate(math.log(129), 0.9))
        found.append(
            Request(round(at * 1e9), min(14_050, max(2, prompt)), min(1_000, max(7, answer)))
        )
