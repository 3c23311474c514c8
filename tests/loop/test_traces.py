"""The fast engine for single traces against the exact law of short runs and the general loop."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fixedpoint as fp
from fixedpoint.loop import traces
from fixedpoint.loop.enumeration import all_counts, enumerate_histories
from fixedpoint.loop.run import logarithmic_generations

pytestmark = pytest.mark.slow

run = functools.partial(fp.run, engine="traces")

MODELS = {
    2: jnp.array([0.7, -0.7]),
    3: jnp.array([1.0, 0.2, -1.2]),
    5: jnp.array([1.5, 0.2, -1.0, 0.4, -1.1]),
}


def trace_loop(step_size=0.8, num_samples=1, temperature=1.0, weight_decay=0.0):
    return fp.Loop(
        fp.Temperature(temperature),
        fp.Fresh(num_samples),
        fp.GradientSteps(step_size, weight_decay=weight_decay),
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("num_outcomes", "num_samples", "temperature", "decay", "generations"),
    [(2, 1, 1.0, 0.0, 8), (2, 2, 0.7, 0.3, 4), (3, 1, 1.0, 0.0, 5), (5, 3, 1.6, 0.2, 2)],
)
def test_moments_are_those_of_all_histories(
    key, num_outcomes, num_samples, temperature, decay, generations
):
    loop = trace_loop(0.8, num_samples, temperature, decay)
    start, replicates = MODELS[num_outcomes], 20_000
    histories = enumerate_histories(loop, start, generations)
    runs = run(loop, start, generations, key=key, num_replicates=replicates, save_at=[generations])
    for observe in (lambda x: x, lambda x: x**2, fp.simplex.probabilities):
        values = observe(histories.logits[-1])
        mean = histories.mean(values)
        error = jnp.sqrt((histories.mean(values**2) - mean**2) / replicates)
        z = (observe(runs.value[0]).mean(0) - mean) / error
        assert jnp.all(jnp.abs(z) < 5), z


def test_histories_are_complete_and_their_mean_is_a_martingale():
    histories = enumerate_histories(trace_loop(num_samples=2), MODELS[3], 3)
    assert len(histories.probability) == 6**3
    np.testing.assert_allclose(histories.probability.sum(), 1, rtol=1e-12)
    for logits in histories.logits:
        np.testing.assert_allclose(histories.mean(logits), MODELS[3], atol=1e-12)


def test_all_counts():
    counts = all_counts(4, 3)
    assert len({tuple(row) for row in counts.tolist()}) == len(counts) == 20
    assert np.all(counts.sum(1) == 3)
    assert np.all(counts >= 0)


def test_a_history_is_one_of_the_general_loop(key):
    # One sample of one outcome leaves no choice: both must take the same steps.
    loop = trace_loop(weight_decay=0.5)
    lonely = jnp.array([2.0])
    runs = run(loop, lonely, 3, key=key, num_replicates=2, save_at=[3])
    np.testing.assert_allclose(runs.value, 2 * 0.6**3, rtol=1e-14)
    histories = enumerate_histories(loop, lonely, 3)
    general = fp.run(loop, lonely, 3, key=key, save_at=[3], engine="general")
    np.testing.assert_allclose(histories.logits[-1], general.value, rtol=1e-14)


@pytest.mark.parametrize("num_outcomes", [2, 5])
def test_replicates_depend_on_the_key_and_their_number_alone(key, num_outcomes):
    loop, start = trace_loop(), MODELS[num_outcomes]
    few = run(loop, start, 50, key=key, num_replicates=3, save_at=[7, 50])
    many = run(loop, start, 50, key=key, num_replicates=700, save_at=[0, 50])
    np.testing.assert_array_equal(few.value[1], many.value[1, :3])
    np.testing.assert_allclose(many.value[0], jnp.tile(start, (700, 1)), rtol=1e-14)
    assert len({tuple(row) for row in np.asarray(many.value[1]).tolist()}) > 300


def test_logits_keep_their_sum(key):
    runs = run(trace_loop(), MODELS[5], 200, key=key, num_replicates=8)
    np.testing.assert_allclose(runs.value.sum(-1), 0, atol=1e-12)
    assert runs.generation[-1] == 200


def test_many_outcomes_fill_their_blocks(key):
    # 7 outcomes need padding to blocks of 3: the padding must never be drawn.
    start = jnp.linspace(1.0, -1.0, 7)
    histories = enumerate_histories(trace_loop(), start, 1)
    runs = run(trace_loop(), start, 1, key=key, num_replicates=7000, save_at=[1])
    drawn = jnp.argmax(runs.value[0] - start[None], -1)
    share = jnp.bincount(drawn, length=7) / 7000
    p = fp.simplex.probabilities(start)
    assert jnp.all(jnp.abs(share - p) < 5 * jnp.sqrt(p * (1 - p) / 7000))
    np.testing.assert_allclose(histories.mean(histories.logits[-1]), start, atol=1e-12)


def test_single_precision_stays_single(key):
    runs = run(
        trace_loop(), MODELS[3].astype(jnp.float32), 20, key=key, num_replicates=2000, save_at=[20]
    )
    assert runs.value.dtype == jnp.float32
    error = jnp.sqrt(20 * 0.64 / 4 / 2000)
    assert jnp.all(jnp.abs(runs.value[0].mean(0) - MODELS[3]) < 5 * error)


@pytest.mark.parametrize(
    ("num_outcomes", "temperature", "step_size"), [(3, 0.7, 0.1), (60, 1.0, 0.1), (60, 1.2, 1.0)]
)
def test_carried_weights_take_the_steps_of_carried_logits(
    key, monkeypatch, num_outcomes, temperature, step_size
):
    """The same samples: 1,100 generations, beyond a refreshment of the weights."""
    arguments = (trace_loop(step_size, 1, temperature), jnp.linspace(0.6, -0.6, num_outcomes), 1100)
    weights = run(*arguments, key=key, num_replicates=32, save_at=[1, 1024, 1100])
    monkeypatch.setattr(traces, "_reach", lambda *_: 0.0)
    logits = run(*arguments, key=key, num_replicates=32, save_at=[1, 1024, 1100])
    np.testing.assert_allclose(weights.value, logits.value, atol=2e-12)


@pytest.mark.parametrize(
    ("num_outcomes", "loop", "dtype", "kernel"),
    [
        (511, trace_loop(0.1), float, "simulate"),
        (512, trace_loop(0.1), float, "blocks"),
        (512, trace_loop(1.0, temperature=2.0), float, "blocks"),
        (512, trace_loop(1.1), float, "simulate"),
        (512, trace_loop(0.1, temperature=0.09), float, "simulate"),
        (512, trace_loop(0.1, num_samples=2), float, "simulate"),
        (512, trace_loop(0.1, weight_decay=0.1), float, "simulate"),
        (512, trace_loop(0.1), jnp.float32, "simulate"),
    ],
)
def test_many_outcomes_are_run_in_blocks(monkeypatch, key, num_outcomes, loop, dtype, kernel):
    chosen = []

    def compiled(_, split, whole, *, static, **options):
        chosen.append(static[0].__name__)
        logits = jnp.zeros((1, 2, num_outcomes))
        return logits, logits, ()

    monkeypatch.setattr(traces.driver, "run", compiled)
    start = jnp.linspace(0.5, -0.5, num_outcomes, dtype=dtype)
    run(loop, start, 10, key=key, num_replicates=2, save_at=[10])
    assert chosen == [kernel]


@pytest.mark.parametrize("temperature", [0.8, 1.0])
def test_blocks_have_the_law_of_carried_weights(key, monkeypatch, temperature):
    """Zipf's law, 600 outcomes: probabilities by rank, from samples of the blocks and of all."""
    start, loop = -jnp.log(jnp.arange(1.0, 601)), trace_loop(0.3, 1, temperature)

    def figures(key):
        runs = run(
            loop,
            start,
            150,
            key=key,
            num_replicates=1500,
            observe=lambda logits: jnp.sort(fp.simplex.probabilities(logits))[-64:],
            save_at=[150],
        )
        p = np.asarray(runs.value[0])
        return np.stack([p[:, -1], p[:, -2], p[:, -8:].sum(-1), (p**2).sum(-1), p.sum(-1)])

    blocks = figures(jax.random.fold_in(key, 0))
    monkeypatch.setattr(traces, "_MANY", 1000)
    carried = figures(jax.random.fold_in(key, 1))
    # √(n/2) sup|F − G| is beyond 2.4 with probability 2e-5. (Moments have heavy tails here.)
    for values, others in zip(blocks, carried, strict=True):
        points = np.concatenate([values, others])
        below = [np.searchsorted(np.sort(v), points, side="right") for v in (values, others)]
        assert np.abs(below[0] - below[1]).max() / np.sqrt(2 * 1500) < 2.4


def test_blocks_depend_on_the_key_and_the_replicate_alone(key):
    start, loop = -jnp.log(jnp.arange(1.0, 701)), trace_loop(0.1, 1, 0.9)
    few = run(loop, start, 700, key=key, num_replicates=3, save_at=[700])
    many = run(loop, start, 700, key=key, num_replicates=130, save_at=[0, 33, 700])
    np.testing.assert_array_equal(few.value[0], many.value[2, :3])
    np.testing.assert_allclose(many.value[0], jnp.tile(start, (130, 1)), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(many.value.sum(-1), start.sum(), atol=1e-9)


def test_logarithmic_generations():
    assert logarithmic_generations(0).tolist() == [0]
    assert logarithmic_generations(1).tolist() == [0, 1]
    assert logarithmic_generations(100)[-3:].tolist() == [80, 90, 100]
    assert np.all(np.diff(logarithmic_generations(12_345)) > 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loop": fp.Loop()}, r"'traces' needs Loop\(Temperature\(T\)"),
        ({"loop": trace_loop(temperature=0.0)}, "0 < T < inf"),
        ({"logits": jnp.array([0.0, -jnp.inf])}, "'traces' needs one model, .* lost outcomes"),
        ({"logits": jnp.zeros((2, 3))}, "'traces' needs one model"),
        ({"logits": jnp.zeros(3, jnp.bfloat16)}, "'traces' needs logits in float64 or float32"),
    ],
)
def test_what_the_engine_cannot_take_is_said(change, message):
    given = {"loop": trace_loop(), "logits": MODELS[3], "num_generations": 10} | change
    with pytest.raises(ValueError, match=message):
        run(**given, key=jax.random.key(0), num_replicates=2)


def test_the_engine_is_named_where_it_cannot_be_traced():
    def moved(logits, key):
        return run(trace_loop(), logits, 9, key=key, num_replicates=2).value

    for transformed in (jax.jit(moved), jax.vmap(moved, (0, None))):
        with pytest.raises(ValueError, match=r"`engine` must be .* outside of jax\.jit"):
            transformed(jnp.zeros((4, 3)), jax.random.key(0))


def test_what_cannot_be_listed_is_said_beforehand():
    loop = fp.Loop(corpus=fp.Fresh(20))
    with pytest.raises(ValueError, match=r"`num_generations` must leave .*with 231 corpora"):
        enumerate_histories(loop, MODELS[3], 4)
    with pytest.raises(ValueError, match=r"`num_generations` must leave .*about 10\^\d+ corpora"):
        enumerate_histories(loop, jnp.zeros(500), 10**9)
    with pytest.raises(ValueError, match=r"`num_samples` must leave at most 1,000,000 vectors"):
        all_counts(50, 50)


def test_enumeration_names_its_misuse():
    with pytest.raises(ValueError, match="`loop` must draw a Fresh corpus"):
        enumerate_histories(fp.Loop(), MODELS[3], 1)
