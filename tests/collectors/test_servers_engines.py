"""Tables of engines of LLMs against pages composed from documented names.

Every number is worked out by hand. The pages are `tests/captures/*.synthetic.prom`, and hold what
must not be counted as well: rows, parts of what is counted already, sums of means.
"""

import pytest

from tests.collectors.growth import Growth, grown

EXPECTED: dict[str, Growth] = {
    # Preempted requests wait; how many failed and what was cached, V0 does not say.
    "vllm-v0-0.8.5": {
        "llama-8b": {
            "succeeded": 14 + 6 - 5,
            "aborted": 2,
            "input": 2000,
            "output": 1000,
            "prefill": 8.5,
            "decode": 30,
            "seconds": 42,
            "timed": 17,
            "running": 3,
            "waiting": 2 + 1,
        }
    },
    "sglang-0.4.6": {
        "qwen": {
            "succeeded": 12,
            "input": 3400 - 400,
            "cached_input": 400,
            "output": 1500,
            "seconds": 30.5,
            "timed": 12,
            "running": 1,
            "waiting": 2,
        }
    },
    # Streaming or not, and every level of the cache, are one; schedulers are parts.
    "sglang-0.5.23": {
        "qwen": {
            "succeeded": (45 - 4) - (15 - 1),
            "aborted": 3,
            "input": (5500 - 1000) - (1500 - 300),
            "cached_input": 700,
            "output": 1500,
            "seconds": 41,
            "timed": 30,
        },
        "qwen/0": {"prefill": 2, "decode": 6, "running": 2, "waiting": 0},
        "qwen/1": {"prefill": 3, "decode": 7, "running": 3, "waiting": 1},
    },
    # No tokens: unknown, not zero.
    "trtllm-1.1.0rc5": {"llama-8b": {"succeeded": 12, "seconds": 24, "timed": 12}},
    "trtllm-2026": {
        "llama-8b": {
            "succeeded": (25 + 4) - (5 + 1),
            "failed": (3 - 1) + 1,
            "aborted": 3,
            "input": (3400 - 256) - 600,
            "cached_input": 256,
            "output": 1200,
            "prefill": 7.5,
            "decode": 45,
            "seconds": 54,
            "timed": 27,
            "running": 4,
            "waiting": 5,
        }
    },
    "dynamo-worker-mocker": {
        "llama": {
            "succeeded": (62 - 4) - 11,
            "failed": 4,
            "compute": 55,
            "seconds": 55,
            "timed": 51,
            "running": 2,
        }
    },
    # The engine's own series say more than the worker's.
    "dynamo-worker-vllm": {
        "llama/0": {
            "succeeded": 47,
            "failed": 3,
            "aborted": 0,
            "input": 1750,
            "cached_input": 800,
            "output": 1100,
            "prefill": 10,
            "decode": 42,
            "seconds": 55,
            "timed": 50,
            "running": 2,
            "waiting": 0,
        }
    },
    "nim-1.8": {
        "meta/llama-3.1-8b-instruct": {
            "succeeded": 10,
            "failed": 2,
            "input": 1200,
            "output": 900,
            "seconds": 26,
            "timed": 12,
            "running": 2,
            "waiting": 1,
        }
    },
    # An ensemble and its step both count; only the step has tokens.
    "triton-trtllm": {
        "ensemble/1": {
            "succeeded": 20,
            "failed": 1,
            "aborted": 2,
            "compute": 10,
            "seconds": 20,
            "timed": 20,
            "waiting": 1,
        },
        "tensorrt_llm/1": {
            "succeeded": 22,
            "failed": 1,
            "aborted": 0,
            "input": 2200,
            "output": 660,
            "compute": 11,
            "seconds": 22,
            "timed": 22,
            "running": 3,
            "waiting": 1,
        },
    },
    "triton-vllm": {
        "opt/1": {
            "succeeded": 10,
            "failed": 0,
            "aborted": 1,
            "input": 100,
            "output": 160,
            "compute": 5,
            "seconds": 10,
            "timed": 10,
            "waiting": 1,
        }
    },
    "tgi-3.3": {
        "": {
            "succeeded": 40,
            "failed": 2 + 1,
            "input": 12000,
            "output": 8000,
            "prefill": 6,
            "decode": 30,
            "seconds": 61.5,
            "timed": 40,
            "running": 4,
            "waiting": 3,
        }
    },
    # Requests, not the 74 inputs in them.
    "tei-1.8": {
        "": {
            "succeeded": 10 + 5 - 1,
            "failed": 1 + 2,
            "input": 640,
            "compute": 0.75,
            "seconds": 1.5,
            "timed": 14,
            "waiting": 6,
        }
    },
    "lmdeploy-0.18": {
        "internlm/0": {
            "succeeded": 16,
            "failed": 1 + 1,
            "aborted": 3,
            "input": (2000 - 300) - 400,
            "cached_input": 300,
            "output": 800,
            "prefill": 5,
            "decode": 34,
            "seconds": 42,
            "timed": 21,
            "running": 5,
            "waiting": 2 + 1,
        },
        "internlm/1": {
            "succeeded": 20,
            "failed": 0,
            "aborted": 0,
            "input": (2400 - 450) - (400 - 50),
            "cached_input": 400,
            "output": 1000,
            "prefill": 4,
            "decode": 35,
            "seconds": 40,
            "timed": 20,
            "running": 0,
            "waiting": 0,
        },
    },
    # Replicas are parts; one was born meanwhile. Proxies count the same requests again.
    "ray-serve-llm-2.60": {
        "qwen/LLM:x,wx,0": {
            "succeeded": (12 + 4) - (2 + 1),
            "failed": 0,
            "aborted": 1,
            "input": (1600 - 600) - (300 - 100),
            "cached_input": 500,
            "output": 400,
            "prefill": 2.5,
            "decode": 10,
            "seconds": 14,
            "timed": 14,
            "running": 2,
            "waiting": 0,
        },
        "qwen/LLM:y,wy,0": {
            "succeeded": 9,
            "failed": 2,
            "input": 900 - 100,
            "cached_input": 100,
            "output": 270,
            "prefill": 2,
            "decode": 8,
            "seconds": 11,
            "timed": 11,
            "running": 1,
            "waiting": 4,
        },
    },
}


@pytest.mark.parametrize("name", EXPECTED)
def test_every_field_of_an_engine_is_read_as_documented(name: str) -> None:
    """And no others: what is not here is unknown for that version."""
    found = grown(name)
    assert found == {whose: pytest.approx(each) for whose, each in EXPECTED[name].items()}
