"""The demo's model computes what it says: cached decoding, sampling, gradients, weights files."""

from pathlib import Path

import numpy as np
import pytest

from unitcost.exporter.demo import corpus
from unitcost.exporter.demo.backprop import Adam, loss_and_gradients
from unitcost.exporter.demo.transformer import (
    Cache,
    Shape,
    forward,
    generate,
    load_weights,
    new_weights,
    sample,
    save_weights,
)

SMALL = Shape(layers=2, width=16, heads=4, hidden=24, context=40, vocabulary=32)


def dense_weights(shape: Shape, seed: int = 1) -> dict[str, np.ndarray]:
    """Weights without zeros, in float64, so that every path through the model counts."""
    random = np.random.default_rng(seed)
    return {
        name: random.standard_normal(array.shape) * 0.3
        for name, array in new_weights(shape).items()
    }


@pytest.mark.parametrize("cut", [1, 7, 19])
def test_prefill_and_decode_with_the_cache_equal_one_full_forward_pass(cut: int) -> None:
    weights = dense_weights(SMALL)
    tokens = np.random.default_rng(2).integers(0, 32, 20)
    whole = forward(weights, SMALL, tokens, Cache(SMALL, np.float64))
    cache = Cache(SMALL, np.float64)
    last = forward(weights, SMALL, tokens[:cut], cache)
    for token in tokens[cut:]:
        last = forward(weights, SMALL, np.array([token]), cache)
    assert cache.length == 20
    np.testing.assert_allclose(last, whole, rtol=0, atol=1e-12)


def test_a_later_token_changes_nothing_that_came_before_it() -> None:
    weights = dense_weights(SMALL)
    tokens = np.random.default_rng(3).integers(0, 32, 12)
    changed = tokens.copy()
    changed[-1] = (changed[-1] + 1) % 32
    one, two = Cache(SMALL, np.float64), Cache(SMALL, np.float64)
    forward(weights, SMALL, tokens, one)
    forward(weights, SMALL, changed, two)
    np.testing.assert_array_equal(one.keys[:, :, :11], two.keys[:, :, :11])
    assert not np.allclose(one.keys[:, :, 11], two.keys[:, :, 11])


@pytest.mark.parametrize("count", [0, 41])
def test_what_does_not_fit_the_context_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        forward(dense_weights(SMALL), SMALL, np.zeros(count, np.intp), Cache(SMALL, np.float64))


def test_generation_yields_as_many_tokens_as_asked_and_the_same_for_one_seed() -> None:
    shape = Shape(layers=1, width=16, heads=2, hidden=16, context=64)
    weights = new_weights(shape)
    first = list(generate(weights, shape, b"cost", 60, 0.9, seed=5))
    assert len(first) == 60
    assert first == list(generate(weights, shape, b"cost", 60, 0.9, seed=5))
    assert first != list(generate(weights, shape, b"cost", 60, 0.9, seed=6))
    with pytest.raises(ValueError, match="exceed"):
        next(generate(weights, shape, b"cost", 61, 0.9, seed=5))


def test_sampling_follows_the_odds() -> None:
    random = np.random.default_rng(0)
    logits = np.log(np.array([0.1, 0.6, 0.3]))
    drawn = np.bincount([sample(logits, 1.0, random) for _ in range(4000)], minlength=3) / 4000
    np.testing.assert_allclose(drawn, [0.1, 0.6, 0.3], atol=0.04)
    assert {sample(logits, 0.0, random) for _ in range(20)} == {1}


def test_gradients_equal_numerical_differences() -> None:
    """Every weight matrix, at a few random places, in float64."""
    shape = Shape(layers=2, width=8, heads=2, hidden=12, context=16, vocabulary=11)
    weights = dense_weights(shape)
    random = np.random.default_rng(4)
    tokens = random.integers(0, 11, (3, 7))
    _, gradients = loss_and_gradients(weights, shape, tokens)
    assert gradients.keys() == weights.keys()
    for name, matrix in weights.items():
        for _ in range(6):
            place = tuple(int(random.integers(0, size)) for size in matrix.shape)
            kept, step = float(matrix[place]), 1e-5
            matrix[place] = kept + step
            above, _ = loss_and_gradients(weights, shape, tokens)
            matrix[place] = kept - step
            below, _ = loss_and_gradients(weights, shape, tokens)
            matrix[place] = kept
            expected = (above - below) / (2 * step)
            assert gradients[name][place] == pytest.approx(expected, rel=1e-4, abs=1e-8), name


def test_the_loss_is_the_forward_passes_cross_entropy() -> None:
    """Training and serving are the same model: the same odds for the next token."""
    weights = dense_weights(SMALL)
    tokens = np.random.default_rng(6).integers(0, 32, (1, 9))
    loss, _ = loss_and_gradients(weights, SMALL, tokens)
    each = []
    for length in range(1, 9):
        logits = forward(weights, SMALL, tokens[0, :length], Cache(SMALL, np.float64))
        each.append(np.log(np.exp(logits).sum()) - logits[tokens[0, length]])
    assert loss == pytest.approx(float(np.mean(each)), abs=1e-9)


def test_the_loss_falls_when_it_trains() -> None:
    shape = Shape(layers=1, width=32, heads=2, hidden=64)
    weights = new_weights(shape)
    adam = Adam(weights, rate=5e-3)
    data = np.frombuffer(corpus.text(33 * 16), np.uint8).astype(np.intp).reshape(16, 33)
    losses = []
    for _ in range(40):
        loss, gradients = loss_and_gradients(weights, shape, data)
        adam.update(weights, gradients)
        losses.append(loss)
    assert losses[0] == pytest.approx(np.log(256), abs=0.3)
    assert losses[-1] < 2.8


def test_weights_survive_their_file_and_a_wrong_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    weights = new_weights(SMALL, seed=9)
    save_weights(path, weights)
    loaded = load_weights(path, SMALL)
    assert loaded.keys() == weights.keys()
    for name, array in weights.items():
        np.testing.assert_array_equal(loaded[name], array)
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(ValueError, match="not the weights"):
        load_weights(path, Shape())
    for junk in (b"", b"PK\x03\x04 cut off", b"\x80\x04 a pickle?", path.read_bytes()[:2000]):
        path.write_bytes(junk)
        with pytest.raises(ValueError, match=r"."):
            load_weights(path, SMALL)


def test_the_corpus_is_exactly_as_long_as_asked_and_repeats_for_a_seed() -> None:
    assert len(corpus.text(12_345)) == 12_345
    assert corpus.text(500, 3) == corpus.text(500, 3) != corpus.text(500, 4)
