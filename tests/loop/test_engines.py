"""One verb, several engines: which one runs, the same law from each, and runs that go on."""

from operator import itemgetter

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fixedpoint as fp
from fixedpoint import simplex
from fixedpoint.loop.enumeration import enumerate_histories

TWO, THREE = jnp.array([0.4, -0.4]), jnp.array([1.0, 0.1, -0.8])
REFITS = fp.Loop(fp.Temperature(1.3), fp.Fresh(4))
TRACES = fp.Loop(fp.Temperature(0.8), fp.Fresh(2), fp.GradientSteps(0.7, weight_decay=0.2))
FINE = fp.Loop(fp.Temperature(0.8), fp.Fresh(1), fp.GradientSteps(0.1))
REMEMBERING = fp.Loop(
    fp.Temperature(0.9),
    fp.Accumulated(fp.Mixed(jnp.array([0.5, 0.2, 0.3]), 0.1, fp.Fresh(6), num_real=2)),
    fp.GradientSteps(0.4, batch_size=3, start="initial"),
)


@pytest.mark.parametrize(
    ("loop", "logits", "engine"),
    [
        (REFITS, THREE, "refits"),
        (REFITS, jnp.stack([THREE, -THREE]), "refits"),
        (REFITS, THREE.astype(jnp.float32), "refits"),
        (REFITS, THREE.astype(jnp.bfloat16), "general"),
        (REFITS, jnp.array([0.0, -jnp.inf, 1.0]), "refits"),
        (fp.Loop((fp.TopK(2), fp.MinP(0.1)), fp.Fresh(4)), THREE, "refits"),
        (fp.Loop(corpus=fp.Fresh(4), learner=fp.Refit(pseudo_counts=0.1)), THREE, "general"),
        (fp.Loop(corpus=fp.Fresh(4), learner=fp.MixtureStep(0.5)), THREE, "general"),
        (fp.Loop(corpus=fp.Pooled(np.full(3, 1 / 3), 0.1, fp.Fresh(4))), THREE, "general"),
        (TRACES, THREE, "traces"),
        (TRACES, THREE.astype(jnp.float32), "traces"),
        (TRACES, THREE.astype(jnp.bfloat16), "general"),
        (TRACES, jnp.stack([THREE, -THREE]), "general"),
        (TRACES, jnp.array([0.0, -jnp.inf]), "general"),
        (fp.Loop(fp.Temperature(0.0), fp.Fresh(1), fp.GradientSteps(0.1)), TWO, "general"),
        (fp.Loop(fp.TopK(2), fp.Fresh(1), fp.GradientSteps(0.1)), TWO, "general"),
        (fp.Loop(corpus=fp.Fresh(1), learner=fp.GradientSteps(0.1, 2)), TWO, "general"),
        (fp.Loop(), TWO, "general"),
    ],
)
def test_the_fastest_engine_that_can_is_chosen_and_named(key, loop, logits, engine):
    runs = fp.run(loop, logits, 2, key=key, num_replicates=2, observe=simplex.entropy)
    assert runs.engine == engine
    assert runs.value.dtype == logits.dtype
    assert runs.logits.shape == (2, *logits.shape)
    assert runs.reached == 2


def test_parts_of_ones_own_and_tracers_are_run_by_the_general_engine(key):
    class Own(fp.Temperature):
        """It may do anything."""

    assert fp.run(fp.Loop(Own(1.0), fp.Fresh(4)), THREE, 2, key=key).engine == "general"
    found = []

    def last(temperature, key):
        loop = fp.Loop(fp.Temperature(temperature), fp.Fresh(4))
        runs = fp.run(loop, THREE, 3, key=key, save_at=[3])
        found.append(runs.engine)
        return runs.value[0]

    jax.vmap(last, (0, None))(jnp.array([0.5, 2.0]), key)
    jax.vmap(last, (None, 0))(0.5, jax.random.split(key))
    assert set(found) == {"general"}


@pytest.mark.parametrize(
    ("loop", "start", "engine", "generations"),
    [
        (TRACES, TWO, "traces", 3),
        (TRACES, THREE, "traces", 2),
        pytest.param(TRACES, THREE, "general", 2, marks=pytest.mark.slow),
        (FINE, THREE, "traces", 4),
        pytest.param(FINE, THREE, "general", 4, marks=pytest.mark.slow),
        (REFITS, THREE, "refits", 2),
        (REFITS, THREE, "general", 2),
        (fp.Loop((fp.Temperature(1.3), fp.TopK(2)), fp.Fresh(5)), THREE, "refits", 2),
    ],
)
def test_every_engine_has_the_law_of_all_histories(key, loop, start, engine, generations):
    """The mean of each observable within 5 standard errors, which are known beforehand."""
    replicates = 20_000
    histories = enumerate_histories(loop, start, generations)
    observe = {
        "p": simplex.probabilities,
        "p p": lambda logits: simplex.probabilities(logits)[:1] * simplex.probabilities(logits),
        "tilt": lambda logits: jnp.tanh(simplex.centre(logits)),  # also of what is lost
    }
    runs = fp.run(
        loop,
        start,
        generations,
        key=key,
        num_replicates=replicates,
        observe=observe,
        save_at=[generations],
        engine=engine,
    )
    assert runs.engine == engine
    for name, function in observe.items():
        values = jax.vmap(function)(histories.logits[-1])
        mean = histories.mean(values)
        error = np.sqrt(np.maximum(histories.mean(values**2) - mean**2, 0) / replicates)
        found = runs.value[name][0].mean(0)
        assert np.all(np.abs(found - mean) <= 5 * error + 1e-12), (name, found, mean, error)


def test_the_comparison_tells_engines_of_other_laws_apart(key):
    """One sample less, or one generation more, is seen in as many replicates."""
    mean = enumerate_histories(REFITS, THREE, 2)
    for loop, generations in ((fp.Loop(fp.Temperature(1.3), fp.Fresh(3)), 2), (REFITS, 3)):
        values = simplex.heterozygosity(mean.logits[-1])
        spread = np.sqrt((mean.mean(values**2) - mean.mean(values) ** 2) / 20_000)
        runs = fp.run(
            loop,
            THREE,
            generations,
            key=key,
            num_replicates=20_000,
            observe=simplex.heterozygosity,
            save_at=[generations],
        )
        assert abs(runs.value[0].mean() - mean.mean(values)) > 8 * spread


ENGINES = {
    "general": (REMEMBERING, THREE),
    "general, a batch": (
        fp.Loop(corpus=fp.Pooled(np.array([0.3, 0.7]), 0.1, fp.Fresh(5))),
        -TWO[None],
    ),
    "general, exact": (fp.Loop(fp.Temperature(0.9), learner=fp.MixtureStep(0.1)), THREE),
    "traces, a gap": (TRACES, TWO),
    "traces, weights": (FINE, THREE),
    "traces, one temperature": (fp.Loop(corpus=fp.Fresh(1), learner=FINE.learner), THREE),
    "traces, logits": (TRACES, THREE),
    "traces, float32": (TRACES, THREE.astype(jnp.float32)),
    "traces, blocks of weights": (FINE, jnp.linspace(1.0, -1.0, 60)),
    "traces, hundreds": (FINE, -jnp.log(jnp.arange(1.0, 601))),
    "refits": (REFITS, jnp.linspace(1.0, -2.0, 9)),
    "refits, many samples": (fp.Loop(fp.Temperature(1.2), fp.Fresh(3000)), jnp.zeros(40)),
    "refits, a batch": (REFITS, jnp.linspace(1.0, -3.0, 60).reshape(2, 3, 10)),
    "refits, two": (fp.Loop(corpus=fp.Fresh(300)), TWO),
}
QUICK = {"general", "traces, a gap", "traces, weights", "refits"}
EACH = [
    pytest.param(name, marks=[pytest.mark.slow] * (name not in QUICK), id=name) for name in ENGINES
]


@pytest.mark.parametrize("name", EACH)
def test_a_run_that_goes_on_has_the_numbers_of_one_long_run(key, name):
    """Stopped at 0, at 7 and at 1,030 (beyond a refreshment of carried weights) of 1,100."""
    loop, start = ENGINES[name]
    observe = {"logits": lambda logits: logits, "S": simplex.entropy}
    given = {"key": key if loop.stochastic else None, "num_replicates": 3, "observe": observe}
    long = fp.run(loop, start, 1100, save_at=[0, 7, 500, 1030, 1100], **given)
    assert long.engine == name.partition(",")[0]
    runs = fp.run(loop, start, 0, save_at=[0], **given)
    values = [runs.value]
    for more, save_at in ((7, [7]), (1023, [500, 1030]), (70, None)):
        runs = fp.run(loop, runs, more, save_at=save_at, observe=observe)
        values.append(jax.tree.map(itemgetter(slice(-len(save_at or [0]), None)), runs.value))
    assert runs.engine == long.engine
    assert runs.reached == 1100
    assert runs.generation.tolist() == list(range(1031, 1101))
    joined = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *values)
    jax.tree.map(np.testing.assert_array_equal, joined, long.value)
    np.testing.assert_array_equal(runs.logits, long.logits)
    np.testing.assert_array_equal(runs.logits, long.value["logits"][-1])
    assert eqx.tree_equal(runs.memory, long.memory)


@pytest.mark.parametrize("name", ["general", "traces, weights", "refits"])
def test_one_run_is_the_first_replicate(key, name):
    loop, start = ENGINES[name]
    many = fp.run(loop, start, 20, key=key, num_replicates=5)
    one = fp.run(loop, start, 12, key=key)
    np.testing.assert_array_equal(one.value, many.value[:13, 0])
    assert one.logits.shape == start.shape
    more = fp.run(loop, one, 8)
    np.testing.assert_array_equal(more.value, many.value[13:, 0])
    np.testing.assert_array_equal(more.logits, many.logits[0])


def test_what_is_not_saved_is_run_all_the_same(key):
    runs = fp.run(REFITS, THREE, 500, key=key, num_replicates=20, save_at=[0, 1])
    assert runs.reached == 500
    assert np.all(simplex.num_surviving(runs.logits) == 1)


@pytest.mark.parametrize("name", ["general", "traces, weights", "refits"])
def test_progress_does_not_change_results(key, name, capsys, monkeypatch):
    monkeypatch.setattr(fp.loop.traces, "_LONG", 100)
    loop, start = ENGINES[name]
    given = {"key": key, "num_replicates": 3, "save_at": [0, 57, 250]}
    quiet = fp.run(loop, start, 260, progress=False, **given)
    assert capsys.readouterr().err == ""
    shown = fp.run(loop, start, 260, progress=True, **given)
    np.testing.assert_array_equal(quiet.value, shown.value)
    np.testing.assert_array_equal(quiet.logits, shown.logits)
    assert "260/260" in capsys.readouterr().err


@pytest.mark.parametrize("loop", [REFITS, TRACES, REMEMBERING], ids=["refits", "traces", "general"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_generations": -1}, r"`num_generations` must be an integer >= 0; got -1"),
        ({"num_replicates": 0}, r"`num_replicates` must be an integer >= 1; got 0"),
        ({"save_at": [0, 11]}, r"`save_at` must increase within 0\.\.10; got \[0, 11\]"),
        ({"save_at": [3, 2]}, r"`save_at` must increase"),
        ({"key": None}, r"`key` must be given where a loop draws at random"),
        ({"key": jax.random.split(jax.random.key(0))}, "`key` must be one random key"),
        ({"observe": "entropy"}, r"`observe` must be a function"),
        ({"observe": lambda logits: "entropy"}, r"`observe` must return numbers or arrays.*str"),
        ({"devices": []}, "`devices` must be a list of devices"),
        ({"logits": jnp.array([0.0, jnp.nan, 1.0])}, "`logits` must be finite or -inf; got nan"),
        ({"num_generations": 10**9}, "`save_at` must name so few .* at most 4 GiB"),
        ({"engine": "fast"}, "`engine` must be one of 'general', 'refits', 'traces'; got 'fast'"),
    ],
)
def test_every_engine_has_the_same_checks(loop, change, message):
    given = {"logits": THREE, "num_generations": 10, "key": jax.random.key(0)} | change
    with pytest.raises(ValueError, match=message):
        fp.run(loop, **given)


def test_what_goes_on_must_be_the_same_run(key):
    runs = fp.run(REFITS, THREE, 5, key=key, num_replicates=3)
    same = fp.Loop(fp.Temperature(1.3), fp.Fresh(4))
    assert fp.run(same, runs, 5, key=key).reached == 10
    with pytest.raises(ValueError, match="`loop` must be that of the trajectory"):
        fp.run(fp.Loop(fp.Temperature(1.2), fp.Fresh(4)), runs, 5)
    with pytest.raises(ValueError, match="`key` must be that of the trajectory"):
        fp.run(REFITS, runs, 5, key=jax.random.fold_in(key, 1))
    with pytest.raises(ValueError, match="`num_replicates` must be 3, as in the trajectory"):
        fp.run(REFITS, runs, 5, num_replicates=4)
    with pytest.raises(ValueError, match="`engine` must be 'refits', that of the trajectory"):
        fp.run(REFITS, runs, 5, engine="general")
    with pytest.raises(ValueError, match=r"`save_at` must increase within 5\.\.10"):
        fp.run(REFITS, runs, 5, save_at=[4, 10])


def test_an_observable_with_arrays_is_compiled_once(key):
    """Arrays in what is observed are data, for every engine."""
    traced = []

    class Distance(eqx.Module):
        centre: jax.Array

        def __call__(self, logits):
            traced.append(logits)
            return jnp.abs(simplex.probabilities(logits) - self.centre).sum()

    for loop in (TRACES, REMEMBERING, REFITS):
        given, numbers = {"key": key, "num_replicates": 3}, []
        for centre in (jnp.array([0.1, 0.5, 0.4]), jnp.array([0.2, 0.5, 0.3])):
            runs = fp.run(loop, THREE, 4, observe=Distance(centre), **given)
            numbers.append(len(traced))
        assert numbers[0] == numbers[1]
        logits = fp.run(loop, THREE, 4, **given).value
        expected = jnp.abs(simplex.probabilities(logits) - centre[None, None]).sum(-1)
        np.testing.assert_allclose(runs.value, expected, rtol=1e-12)


def test_the_mean_of_the_logits_is_kept_or_decays(key):
    """It changes no model, but a run of single traces keeps it as the general engine does."""
    for loop, decay in ((FINE, 1.0), (TRACES, 1 - 0.7 * 0.2)):
        for start in (TWO + 3, THREE + 3):
            runs = fp.run(loop, start, 5, key=key, num_replicates=3)
            mean = float(start.mean()) * decay ** np.arange(6.0)
            np.testing.assert_allclose(runs.value.mean(-1), np.tile(mean[:, None], 3), rtol=1e-13)
