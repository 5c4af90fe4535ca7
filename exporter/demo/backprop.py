"""Loss and gradients of the demo's transformer, written out by hand, and the Adam optimiser."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unitcost.exporter.demo.transformer import (
    Array,
    Shape,
    Weights,
    distance_bias,
    normalise,
    softmax,
)


@dataclass(frozen=True, slots=True)
class _Trace:
    """What one layer's forward pass leaves behind for the way back."""

    x: Array
    normed: Array
    q: Array
    k: Array
    v: Array
    attention: Array
    mixed: Array
    middle: Array
    middle_normed: Array
    hidden: Array


def _split_heads(x: Array, heads: int) -> Array:
    batch, length, width = x.shape
    return x.reshape(batch, length, heads, width // heads).transpose(0, 2, 1, 3)


def _join_heads(x: Array) -> Array:
    batch, heads, length, size = x.shape
    return x.transpose(0, 2, 1, 3).reshape(batch, length, heads * size)


def _normalise_back(x: Array, normed: Array, grad: Array) -> Array:
    root = np.sqrt((x * x).mean(axis=-1, keepdims=True) + 1e-6)
    along = (grad * normed).mean(axis=-1, keepdims=True)
    change: Array = (grad - normed * along) / root
    return change


def _outer(x: Array, grad: Array) -> Array:
    """Gradient of a weight matrix: Σ over batch and positions of x ⊗ grad."""
    product: Array = x.reshape(-1, x.shape[-1]).T @ grad.reshape(-1, grad.shape[-1])
    return product


def _layer(weights: Weights, shape: Shape, layer: int, x: Array, bias: Array) -> _Trace:
    normed = normalise(x)
    parts = np.split(normed @ weights[f"{layer}.qkv"], 3, axis=-1)
    q, k, v = (_split_heads(part, shape.heads) for part in parts)
    attention = softmax(q @ k.transpose(0, 1, 3, 2) * (q.shape[-1] ** -0.5) + bias)
    mixed = _join_heads(attention @ v)
    middle = x + mixed @ weights[f"{layer}.out"]
    middle_normed = normalise(middle)
    hidden = np.maximum(middle_normed @ weights[f"{layer}.up"], 0)
    return _Trace(x, normed, q, k, v, attention, mixed, middle, middle_normed, hidden)


def _layer_back(
    weights: Weights, layer: int, trace: _Trace, grad: Array, gradients: Weights
) -> Array:
    up, down = weights[f"{layer}.up"], weights[f"{layer}.down"]
    gradients[f"{layer}.down"] = _outer(trace.hidden, grad)
    grad_hidden = (grad @ down.T) * (trace.hidden > 0)
    gradients[f"{layer}.up"] = _outer(trace.middle_normed, grad_hidden)
    grad = grad + _normalise_back(trace.middle, trace.middle_normed, grad_hidden @ up.T)

    gradients[f"{layer}.out"] = _outer(trace.mixed, grad)
    heads = trace.q.shape[1]
    grad_mixed = _split_heads(grad @ weights[f"{layer}.out"].T, heads)
    grad_attention = grad_mixed @ trace.v.transpose(0, 1, 3, 2)
    weighted = (grad_attention * trace.attention).sum(axis=-1, keepdims=True)
    grad_scores = trace.attention * (grad_attention - weighted) * (trace.q.shape[-1] ** -0.5)
    grad_qkv = np.concatenate(
        (
            _join_heads(grad_scores @ trace.k),
            _join_heads(grad_scores.transpose(0, 1, 3, 2) @ trace.q),
            _join_heads(trace.attention.transpose(0, 1, 3, 2) @ grad_mixed),
        ),
        axis=-1,
    )
    gradients[f"{layer}.qkv"] = _outer(trace.normed, grad_qkv)
    return grad + _normalise_back(trace.x, trace.normed, grad_qkv @ weights[f"{layer}.qkv"].T)


def loss_and_gradients(
    weights: Weights, shape: Shape, tokens: NDArray[np.intp]
) -> tuple[float, Weights]:
    """Return the mean cross-entropy (nats a token) of `tokens`, (batch, length + 1), and its

    gradient for every weight.
    """
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    x = weights["embed"][inputs]
    bias = distance_bias(shape.heads, 0, inputs.shape[1], x.dtype.type)
    traces = []
    for layer in range(shape.layers):
        trace = _layer(weights, shape, layer, x, bias)
        traces.append(trace)
        x = trace.middle + trace.hidden @ weights[f"{layer}.down"]
    last = normalise(x)
    odds = softmax(last @ weights["embed"].T)
    rows, columns = np.indices(targets.shape)
    loss = float(-np.log(odds[rows, columns, targets] + 1e-30).mean())

    odds[rows, columns, targets] -= 1
    grad_logits = odds / targets.size
    gradients: Weights = {"embed": _outer(grad_logits, last)}
    grad = _normalise_back(x, last, grad_logits @ weights["embed"])
    for layer in reversed(range(shape.layers)):
        grad = _layer_back(weights, layer, traces[layer], grad, gradients)
    np.add.at(gradients["embed"], inputs, grad)
    return loss, gradients


class Adam:
    """Adam (Kingma and Ba 2015) with a short linear warm-up; changes the weights in place."""

    def __init__(self, weights: Weights, rate: float = 2e-3, warm_up: int = 10) -> None:
        """Start with empty moments for every weight."""
        self._rate = rate
        self._warm_up = warm_up
        self._step = 0
        self._mean: dict[str, NDArray[Any]] = {n: np.zeros_like(w) for n, w in weights.items()}
        self._square: dict[str, NDArray[Any]] = {n: np.zeros_like(w) for n, w in weights.items()}

    def update(self, weights: Weights, gradients: Weights) -> None:
        """Take one step down the gradient."""
        self._step += 1
        rate = self._rate * min(1.0, self._step / self._warm_up)
        scale = rate * (1 - 0.95**self._step) ** 0.5 / (1 - 0.9**self._step)
        for name, gradient in gradients.items():
            mean, square = self._mean[name], self._square[name]
            mean += 0.1 * (gradient - mean)
            square += 0.05 * (gradient * gradient - square)
            weights[name] -= scale * mean / (np.sqrt(square) + 1e-8)
