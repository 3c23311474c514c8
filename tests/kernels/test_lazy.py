"""Traces in blocks against the rule itself: for the same samples, and in law."""

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fixedpoint.kernels import driver, entries, lazy
from fixedpoint.kernels.random import seeds


def zipf(num_outcomes, exponent=1.0):
    logits = -exponent * np.log(np.arange(1.0, num_outcomes + 1))
    return jnp.asarray(logits - logits.mean())


def probabilities(logits):
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def compiled(kernel, *arguments):
    *static, words, start, lengths, step_size, temperature, room = arguments
    levels, first = jnp.zeros(len(lengths)), jnp.zeros_like(lengths[0])
    observed, *_ = driver.run(
        kernel,
        [words, None],
        [start, lengths, levels, first, step_size, temperature, room, lazy.TABLE],
        static=tuple(static),
        tile=1,
        axis=1,
        library=False,
    )
    return observed


def simulate(
    start,
    saved,
    key,
    num_replicates,
    *,
    step_size=0.1,
    temperature=0.9,
    num_heavy=16,
    room=None,
    kernel: Callable = lazy.blocks,
):
    room = max(1.01 * step_size, 0.25 * min(temperature, 1)) if room is None else room
    runs = compiled(
        kernel,
        itself,
        num_heavy,
        temperature == 1,
        1.0,
        seeds(key, jnp.float64, num_replicates),
        start,
        jnp.diff(jnp.asarray(saved), prepend=0),
        *(jnp.asarray(number) for number in (step_size, temperature, room)),
    )
    return np.asarray(runs)


def itself(logits):
    return logits


def altered(*arguments):
    """Another function than the kernel, compiled with what a test has altered in the module."""
    return lazy.blocks(*arguments)


@pytest.fixture
def altering(monkeypatch):
    """Compile what is altered anew, and forget it."""
    driver._program.cache_clear()
    yield monkeypatch
    monkeypatch.undo()
    driver._program.cache_clear()


def rule(runs, step_size):
    """The samples that runs (generations, replicates, K) show, and the rule applied to them."""
    theta, samples, logits = runs[0], [], [runs[0]]
    for before, after in itertools.pairwise(runs):
        sample = np.argmax(after - before + step_size * probabilities(before), -1)
        theta = theta - step_size * probabilities(theta)
        theta[np.arange(len(theta)), sample] += step_size
        samples.append(sample)
        logits.append(theta)
    return np.array(samples), np.array(logits)


def distance(runs, step_size):
    return np.abs(runs - rule(runs, step_size)[1]).max()


UNIFORM = jnp.linspace(0.4, -0.4, 200)
SETTINGS: dict[str, tuple[jax.Array, dict[str, Any]]] = {
    "near uniform": (UNIFORM, {}),
    "Zipf": (zipf(200), {"temperature": 0.8}),
    "hot": (zipf(200), {"temperature": 3.0}),
    "large steps": (zipf(200, 0.5), {"step_size": 1.0, "temperature": 1.3}),
    "small steps, much room": (zipf(200), {"step_size": 0.01, "room": 0.5}),
    "two large outcomes": (jnp.zeros(200).at[:2].set(6.0), {}),
    "underflow": (jnp.zeros(200).at[:3].set(800.0), {}),
    "all equal": (jnp.zeros(200), {"step_size": 0.3}),
    "a sample a block": (UNIFORM, {"room": 0.0}),
    "temperature 1": (zipf(250), {"temperature": 1.0, "num_heavy": 32}),
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_for_the_same_samples_the_logits_follow_the_rule(key, setting):
    start, options = SETTINGS[setting]
    runs = simulate(start, range(601), key, 8, **options)
    assert np.isfinite(runs).all()
    np.testing.assert_allclose(runs[0], np.tile(start, (8, 1)), rtol=1e-14, atol=1e-14)
    assert distance(runs, options.get("step_size", 0.1)) < 1e-9


@pytest.mark.long
def test_errors_do_not_add_up(key):
    """10,000 generations, some hundred blocks, to where one outcome has nearly everything."""
    runs = simulate(zipf(200, 0.5), range(10_001), key, 2, step_size=0.2, temperature=0.95)
    assert probabilities(runs[-1]).max() > 0.9
    assert distance(runs, 0.2) < 1e-9


def coarse_newton(init):
    def altered(self, *arguments):
        init(self, *arguments)
        self.newton = 1

    return altered


MISTAKES = {
    "falls to first order": lambda patch: patch.setattr(
        lazy, "decay_polynomial", lambda reach: lambda y: 1 + y
    ),
    "blocks too long": lambda patch: patch.setattr(lazy, "FALL", 1.5),
    "a lift to first order": lambda patch: patch.setattr(
        lazy._Model, "__init__", coarse_newton(lazy._Model.__init__)
    ),
    "the sum forgets who was drawn": lambda patch: patch.setattr(
        lazy, "_differences", lambda new, old: (0 * new, jnp.zeros(lazy.NODES))
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_do_not_follow_the_rule(key, mistake, altering):
    MISTAKES[mistake](altering)
    runs = simulate(zipf(200), range(601), key, 8, kernel=altered)
    assert distance(runs, 0.1) > 1e-8


def dense(start, generations, num_replicates, seed, step_size, temperature):
    random = np.random.default_rng(seed)
    theta, rows = np.tile(start, (num_replicates, 1)), np.arange(num_replicates)
    for _ in range(generations):
        cumulative = np.exp(theta / temperature).cumsum(-1)
        target = random.random((num_replicates, 1)) * cumulative[:, -1:]
        sample = (cumulative <= target).sum(-1)
        theta = theta - step_size * probabilities(theta)
        theta[rows, sample] += step_size
    return theta


def figures(logits):
    p = probabilities(logits)
    return {
        "collisions": (p**2).sum(-1),
        "largest": p.max(-1),
        "first": logits[:, 0],
        "twentieth": logits[:, 19],
        "last half": p[:, len(p[0]) // 2 :].sum(-1),
    }


def statistic(logits, others):
    """The largest two-sample statistic √(nm/(n+m)) sup|F − G| of the figures."""
    worst = 0.0
    for values, other in zip(figures(logits).values(), figures(others).values(), strict=True):
        points = np.concatenate([values, other])
        below = [
            np.searchsorted(np.sort(v), points, side="right") / len(v) for v in (values, other)
        ]
        number = len(values) * len(other) / (len(values) + len(other))
        worst = max(worst, np.sqrt(number) * np.abs(below[0] - below[1]).max())
    return worst


LAWS: dict[str, tuple[jax.Array, dict[str, Any]]] = {
    "near uniform": (UNIFORM[::3], {"step_size": 0.3, "temperature": 0.9}),
    "Zipf": (zipf(67), {"step_size": 0.1, "temperature": 0.8}),
    "hot": (zipf(67), {"step_size": 1.0, "temperature": 1.5}),
}


@pytest.mark.parametrize("law", LAWS)
def test_the_law_is_that_of_the_rule(key, law):
    start, options = LAWS[law]
    runs = simulate(start, [60], key, 3000, **options)[0]
    expected = dense(start, 60, 3000, 1, options["step_size"], options["temperature"])
    # Beyond 2.4 with probability 2e-5, for each of five figures.
    assert statistic(runs, expected) < 2.4
    for name, values in figures(runs).items():
        others = figures(expected)[name]
        error = np.sqrt((values.var() + others.var()) / 3000)
        assert abs(values.mean() - others.mean()) < 4.5 * error, name


def no_bursts(ended):
    return lambda self, block, grown: ended(self, block, 0 * self.room - jnp.inf)


def scores(runs, temperature, step_size):
    """Σ over generations of (drawn − probability) of outcomes by their size now, standardised."""
    samples, _ = rule(runs, step_size)
    q = probabilities(runs[:-1] / temperature)
    rank = np.argsort(np.argsort(-runs[:-1], -1), -1)  # 0 is the largest
    for low, high in ((0, 1), (1, 4), (4, 8), (8, 16), (16, 40), (40, 100)):
        in_class = (low <= rank) & (rank < high)
        chance = (q * in_class).sum(-1)
        drawn = np.take_along_axis(in_class, samples[..., None], -1)[..., 0]
        yield (drawn - chance).sum() / np.sqrt((chance * (1 - chance)).sum())


def test_each_sample_has_the_probabilities_of_its_generation(key):
    runs = simulate(zipf(100), range(401), key, 200, temperature=0.9)
    assert np.abs(list(scores(runs, 0.9, 0.1))).max() < 4.5


@pytest.mark.long
def test_bounds_that_are_none_do_not_have_the_law(key, altering):
    start = UNIFORM[::2]
    options: dict[str, Any] = {"step_size": 0.1, "temperature": 0.5, "room": 0.0}
    runs = simulate(start, range(201), key, 800, **options)
    assert np.abs(list(scores(runs, 0.5, 0.1))).max() < 4.5
    altering.setattr(lazy._Model, "_ended", no_bursts(lazy._Model._ended))
    runs = simulate(start, range(201), key, 800, kernel=altered, **options)
    assert np.abs(list(scores(runs, 0.5, 0.1))).max() > 4.5


def test_replicates_depend_neither_on_each_other_nor_on_what_is_saved(key):
    start = zipf(200)
    alone = simulate(start, [300], key, 8)
    among = simulate(start, [0, 7, 50, 51, 300], key, 32)
    np.testing.assert_array_equal(alone[-1], among[-1, :8])
    assert len(np.unique(among[-1, :, 0])) > 16


@pytest.mark.long
def test_long_blocks_are_begun_anew(key, altering):
    """Almost every sample is heavy: nothing but the number of ticks ends a block."""
    altering.setattr(lazy, "TICKS", 50)
    runs = simulate(jnp.zeros(200).at[:2].set(12.0), range(301), key, 8, kernel=altered)
    assert distance(runs, 0.1) < 1e-9


def found(weights, points):
    """The light outcomes at some points of their weights, added up one column after the other."""
    cumulative = jnp.cumsum(weights, 0)
    columns = entries.running_sums(cumulative[-1])
    rows, places = jax.vmap(lambda point: entries.find(cumulative, columns, point))(points)
    return np.asarray(places * len(weights) + rows), columns[-1]


@pytest.mark.parametrize("shape", [(25, 16), (1, 16), (16, 1)])
def test_proposals_are_the_outcomes_of_the_cumulative_weights(shape):
    random = np.random.default_rng(0)
    weights = random.random(shape) * (random.random(shape) < 0.3)
    weights[0, 0] = 0.5
    uniform = random.random(1000)
    outcomes, total = found(jnp.asarray(weights), jnp.asarray(uniform) * weights.sum())
    flat = weights.T.ravel()
    expected = np.searchsorted(flat.cumsum(), uniform * weights.sum(), side="right")
    np.testing.assert_array_equal(outcomes, expected)
    assert total == pytest.approx(weights.sum(), rel=1e-14)


def test_rounding_never_proposes_what_has_no_weight():
    weights = jnp.zeros(64).at[jnp.array([3, 37])].set(jnp.array([0.1, 0.3])).reshape(4, 16).T
    outcomes, _ = found(weights, 0.4 * jnp.array([0.0, 0.2, 1.0, 1.0 + 1e-15]))
    np.testing.assert_array_equal(outcomes, [3, 3, 37, 37])


def test_rounding_never_draws_what_has_no_weight():
    weights = jnp.array([0.3, 0.1, 0.0, 0.0])
    points = jnp.array([0.0, 0.29, 0.31, 0.4 * (1 + 1e-15)])
    drawn = jax.vmap(lambda point: entries.drawn_place(weights, point))(points)
    np.testing.assert_array_equal(drawn, [0, 0, 1, 0])


@pytest.mark.parametrize("rows", [1, 4, 49])
def test_the_largest(rows):
    values = np.random.default_rng(0).normal(size=(rows, 24))
    values[-1, -5:] = -np.inf
    others, places, largest, rest = lazy._divided(jnp.asarray(values), 16)
    order = np.argsort(-values.ravel())
    np.testing.assert_array_equal(places @ np.array([24, 1]), order[:16])
    np.testing.assert_array_equal(largest, values.ravel()[order[:16]])
    expected = values.ravel().copy()
    expected[order[:16]] = -np.inf
    np.testing.assert_array_equal(np.ravel(others), expected)
    assert rest == expected.max()


def test_equal_logits_are_all_told_apart():
    _, places, _, rest = lazy._divided(jnp.zeros((3, 8)), 16)
    assert len({tuple(place) for place in places.tolist()}) == 16
    assert rest == 0


def test_the_nodes_interpolate_the_fall_of_every_weight():
    """log(1 + εu), the fall at small steps, with ε = e^FALL − 1."""
    epsilon = np.expm1(lazy.FALL)
    u = np.linspace(0, 1, 1001)
    coefficients = lazy._TO_POWERS @ np.log1p(epsilon * lazy._POINTS)
    fall = jax.vmap(lambda u: coefficients @ lazy._powers(u))(jnp.asarray(u))
    np.testing.assert_allclose(fall, np.log1p(epsilon * u), rtol=0, atol=3e-11)
