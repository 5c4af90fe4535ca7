"""A small decoder-only transformer in NumPy, with a real KV cache: prefill, then decode.

Tokens are bytes. Attention knows distance by linear biases (ALiBi, Press et al. 2022), so there
is no table of positions and a prompt may be longer than what was trained on. Norms are RMS norms
without a gain, and the embedding serves as the output layer too.
"""

import os
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Weights = dict[str, Array]


@dataclass(frozen=True, slots=True)
class Shape:
    """How large the model is. `context` is the most tokens of prompt and answer together."""

    layers: int = 4
    width: int = 128
    heads: int = 4
    hidden: int = 512
    context: int = 512
    vocabulary: int = 256


def new_weights(shape: Shape, seed: int = 0, dtype: type = np.float32) -> Weights:
    """Return random weights; layers that write into the residual stream start at zero."""
    random = np.random.default_rng(seed)

    def normal(rows: int, columns: int, scale: float) -> Array:
        return (random.standard_normal((rows, columns)) * scale).astype(dtype)

    width, hidden = shape.width, shape.hidden
    weights: Weights = {"embed": normal(shape.vocabulary, width, 0.02)}
    for layer in range(shape.layers):
        weights[f"{layer}.qkv"] = normal(width, 3 * width, width**-0.5)
        weights[f"{layer}.out"] = np.zeros((width, width), dtype)
        weights[f"{layer}.up"] = normal(width, hidden, width**-0.5)
        weights[f"{layer}.down"] = np.zeros((hidden, width), dtype)
    return weights


def save_weights(path: Path, weights: Mapping[str, Array]) -> None:
    """Write `weights` so that a reader sees the old file or the new one, never half of one."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        np.savez(file, **dict(weights))  # type: ignore[arg-type] # the stub knows allow_pickle only
    os.replace(partial, path)


def load_weights(path: Path, shape: Shape) -> Weights:
    """Read what `save_weights` wrote. Raises OSError, or ValueError where it does not fit."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            weights: Weights = {name: file[name] for name in file.files}
    except (AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: not a file of weights") from error
    expected = {name: array.shape for name, array in new_weights(shape).items()}
    if {name: array.shape for name, array in weights.items()} != expected:
        raise ValueError(f"{path}: not the weights of {shape}")
    return weights


class Cache:
    """Keys and values of the tokens seen so far, for one request."""

    def __init__(self, shape: Shape, dtype: type = np.float32) -> None:
        """Make room for `shape.context` tokens."""
        size = (shape.layers, shape.heads, shape.context, shape.width // shape.heads)
        self.keys: Array = np.empty(size, dtype)
        self.values: Array = np.empty(size, dtype)
        self.length = 0


def normalise(x: Array) -> Array:
    """Divide each row by its root mean square."""
    normed: Array = x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + 1e-6)
    return normed


def softmax(scores: Array) -> Array:
    """Return exp(scores) over its sum along the last axis, without overflow."""
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    odds: Array = weights / weights.sum(axis=-1, keepdims=True)
    return odds


def distance_bias(heads: int, start: int, count: int, dtype: type = np.float32) -> Array:
    """Return what attention adds for `count` tokens from `start` on: (heads, count, start+count).

    The further back, the less; the future is minus infinity.
    """
    slopes = 2.0 ** (-8.0 * np.arange(1, heads + 1) / heads)
    back = np.arange(start, start + count)[:, None] - np.arange(start + count)[None, :]
    biased = -slopes[:, None, None] * back
    return np.where(back < 0, -np.inf, biased).astype(dtype)


def forward(weights: Weights, shape: Shape, tokens: NDArray[np.intp], cache: Cache) -> Array:
    """Run `tokens` after those in `cache` and return the logits that follow the last of them.

    Raises ValueError where they do not fit into the context.
    """
    start, count = cache.length, len(tokens)
    end = start + count
    if end > shape.context or count == 0:
        raise ValueError(f"{count} tokens after {start} do not fit into {shape.context}")
    x = weights["embed"][tokens]
    bias = distance_bias(shape.heads, start, count, x.dtype.type)
    for layer in range(shape.layers):
        qkv = normalise(x) @ weights[f"{layer}.qkv"]
        q, k, v = qkv.reshape(count, 3, shape.heads, -1).transpose(1, 2, 0, 3)
        keys, values = cache.keys[layer], cache.values[layer]
        keys[:, start:end], values[:, start:end] = k, v
        scores = q @ keys[:, :end].transpose(0, 2, 1) * (q.shape[-1] ** -0.5) + bias
        mixed = softmax(scores) @ values[:, :end]
        x = x + mixed.transpose(1, 0, 2).reshape(count, -1) @ weights[f"{layer}.out"]
        x = x + np.maximum(normalise(x) @ weights[f"{layer}.up"], 0) @ weights[f"{layer}.down"]
    cache.length = end
    logits: Array = normalise(x[-1]) @ weights["embed"].T
    return logits


def sample(logits: Array, temperature: float, random: np.random.Generator) -> int:
    """Draw the next token; temperature 0 takes the likeliest."""
    if temperature <= 0:
        return int(logits.argmax())
    odds = softmax(logits.astype(np.float64) / temperature).cumsum()
    return int(min(np.searchsorted(odds, random.random() * odds[-1]), len(odds) - 1))


def generate(
    weights: Weights, shape: Shape, prompt: bytes, limit: int, temperature: float, seed: int
) -> Iterator[int]:
    """Yield the `limit` tokens that follow `prompt`; the first one costs the whole prefill.

    Raises ValueError where prompt and answer do not fit into the context.
    """
    if len(prompt) + limit > shape.context:
        raise ValueError(f"prompt and answer exceed {shape.context} tokens")
    random = np.random.default_rng(seed)
    cache = Cache(shape, weights["embed"].dtype.type)
    tokens = np.frombuffer(prompt, np.uint8).astype(np.intp)
    for _ in range(limit):
        token = sample(forward(weights, shape, tokens, cache), temperature, random)
        yield token
        tokens = np.array([token])
