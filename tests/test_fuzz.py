"""Everything public, called with whatever the world has: an answer, or one sentence that says why.

The cases are drawn with a fixed seed: laws, distributions, parts of loops, what runs them, chains,
and the command with its files. Most of them are wrong somewhere. Allowed are results without NaN
(but where the docstring says so), errors of the documented types whose message names an argument,
and from the command one line and the status 2. Not allowed: any other exception, a warning, a file
half written, more than 20 seconds or 2 GiB.
"""

import contextlib
import datetime
import decimal
import fractions
import functools
import gc
import importlib
import io
import itertools
import json
import random
import re
import resource
import shutil
import string
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

import fixedpoint as fp
from fixedpoint import chain, citations, cli, kernels, potential, simplex
from fixedpoint.laws import CHAPTERS
from fixedpoint.loop.enumeration import all_counts, enumerate_histories
from fixedpoint.loop.traces import logarithmic_generations
from fixedpoint.loop.vertex import run_events

INF, NAN = np.inf, np.nan
SECONDS, BYTES = 20, 2**31
LOGITS = np.log([0.5, 0.3, 0.2])
KEY = jax.random.key(0)

# --- What an argument may be given ----------------------------------------------------------------

JUNK: list[Any] = [
    None, True, np.bool_(False), "0.8", "entropy", "", b"1", 1j, NAN, INF, -INF, -1, -1.5, 0, -0.0,
    0.3, 2.5, 3, 5e-324, 1e308, -1e308, 10**20, 2**63, -(2**70), 10**400,
    np.float16(0.5), np.float32(-2), np.longdouble(1.5), np.int8(-3), np.uint64(2**64 - 1),
    ml_dtypes.bfloat16(2), fractions.Fraction(1, 2), decimal.Decimal("0.5"), datetime.date.min,
    [], [0.5, 0.7], (1, 2, 3), [[1.0], [1.0, 2.0]], ["a", "b", "c"], [None, 1.0], [NAN] * 3, {},
    {"a": 1.0}, {1.0, 2.0}, range(3), object(), len, float, slice(3), KEY, np.random.default_rng(0),
    np.zeros(0), np.zeros((0, 3)), np.zeros((3, 0)), np.zeros(4), np.zeros((2, 2)), np.ones((5, 1)),
    np.array("x"), np.array(["a", "b", "c"]), np.array([None, 1]), np.array([1 + 1j, 2, 3]),
    np.array([True, False, True]), np.array([1, 2, 3], ">f8"), np.array([1, 2, 3], np.longdouble),
    np.array(["2020-01-01"], "M8[D]"), np.ma.masked_less(np.ones(3), 2),
    np.array([(1, 2.0)], "i4,f8"), np.array([0.0, NAN, 1.0]), np.array([0.0, INF, 1.0]),
    np.full(3, -INF), np.array([1e308, 0.0, -1e308]), np.array([-1, 2, 5]),
]  # fmt: skip
MODELS: list[Any] = [
    LOGITS,
    LOGITS.astype(np.float32),
    jnp.array(LOGITS),
    np.array([0.7, -INF, 0.1]),
    np.array([-INF, 0.0, -INF]),
    np.array([0, -3, 2]),
    np.array([1.0, 1.0, 1.0]),
    np.array([0.0, -800.0, 700.0]),
    [0.5, -0.25, 1.0],
]
BATCHES: list[Any] = [np.array([[0.3, -0.2, 1.0], [0.0, -INF, 2.0]]), jnp.array([LOGITS, -LOGITS])]
SHORT: list[Any] = [
    np.array([0.5, -1.0, 2.0], np.float16),
    jnp.array([0.5, -1.0, 2.0], jnp.bfloat16),
    np.array([3, 1, 2], np.uint8),
]
SINGLE: list[Any] = [np.zeros(1), np.zeros(2), np.log(np.arange(1.0, 8.0))]
POOLS: dict[str, list[Any]] = {
    "logits": MODELS,
    "finite logits": [LOGITS, jnp.array(LOGITS), [0.5, -0.25, 1.0], np.zeros(3)],
    "values": [np.array([1.0, 0.0, 0.0]), [0.0, 1.0, 1.0]],
    "probabilities": [np.array([0.2, 0.3, 0.5]), [1.0, 0.0, 0.0], jnp.ones(3) / 3],
    "[0, inf]": [0.0, 0.5, 1, 1.0, 1.7, INF, np.float32(0.8), 1e-300, 1e300],
    "(0, inf]": [0.5, 1, 1.0, 1.7, INF, 1e-3, 1e300],
    "[0, inf)": [0.0, 0.5, 1, 3.0, 40.0, 1e-9],
    "(0, inf)": [0.5, 1, 1.0, 1.7, 1e-3, np.float32(0.8)],
    "[0, 1]": [0.0, 0.25, 0.5, 1, 1.0],
    "(0, 1]": [0.25, 0.5, 1, 1.0],
    "[0, 1)": [0.0, 0.25, 0.5],
    "(0, 1)": [0.25, 0.5, 0.9],
    "(0, 0.5)": [0.25, 1e-9],
    "[0, 0.5]": [0.0, 0.25, 0.5],
    "(0.5, 1]": [0.75, 0.9, 1.0],
    "(1, inf)": [1.5, 2, 1.000001, 100.0],
    "(1, inf]": [1.5, 2, INF],
    "(2, inf]": [2.5, 3, INF],
    "[1, inf]": [1, 1.5, INF],
    "(-inf, inf)": [0.0, -1.5, 2, 30.0],
    "": [1, 2, 5],
    "[1, inf)": [1, 1.5, 100.0],
    "[2, inf)": [2, 2.5, 100.0],
    ">= 0": [0, 1, 2, 7, 1000],
    ">= 1": [1, 2, 5, 100, 10**6],
    ">= 2": [2, 3, 100],
    ">= 3": [3, 4, 100],
}
NAMED: dict[str, list[Any]] = {  # arguments without a rule, or with one that says too little
    "answers": [["a", "b", "a"], [0, 1, 1]],
    "chart": [1, 2],
    "dtype": [np.float32, "float64", jnp.bfloat16, np.float16],
    "kept": [1, 2, 9],
    "num_terms": [120],
    "order": [2, 3, -2],
    "stored_as": ["probabilities", "logits"],
    "num_top": [1, 2],
    "num_modes": [1],
    "target": [0, 1, 2],
    "natural": [0, 1],
}


def every(rules):
    """The pools of a function's arguments, by its rules."""
    return {
        name: NAMED.get(name) or POOLS[rule.removeprefix("each ")] for name, rule in rules.items()
    }


def laws():
    """Every solution of the register, and what else the laws export."""
    for law in itertools.chain(*CHAPTERS.values()):
        module = importlib.import_module(f"fixedpoint.laws.{law}")
        for name, found in vars(module).items():
            if callable(found) and hasattr(found, "rules"):
                yield f"{law}.{name}", found, every(vars(found)["rules"])


LAWS = {name: (found, pools) for name, found, pools in laws()}
ONE = {"logits": MODELS}
TWO = {"logits": MODELS, "logits_other": MODELS}
ORDER = POOLS["[0, inf]"]
DISTRIBUTIONS = {
    **{
        f"simplex.{name}": (getattr(simplex, name), ONE)
        for name in [
            "log_probabilities", "probabilities", "centre", "entropy", "heterozygosity",
            "num_surviving", "mode", "modes", "mode_probability", "tail_probability",
            "fisher_matrix",
        ]
    },
    "simplex.logits": (simplex.logits, {"probabilities": POOLS["probabilities"]}),
    "simplex.temper": (simplex.temper, {**ONE, "temperature": ORDER}),
    "simplex.renyi_entropy": (simplex.renyi_entropy, {**ONE, "order": ORDER}),
    "simplex.effective_number": (simplex.effective_number, {**ONE, "order": ORDER}),
    "simplex.kl_divergence": (simplex.kl_divergence, TWO),
    "simplex.renyi_divergence": (simplex.renyi_divergence, {**TWO, "order": ORDER}),
    "simplex.majorises": (simplex.majorises, {**TWO, "tolerance": [0.0, 1e-12]}),
    "simplex.decomposition": (
        simplex.decomposition,
        {"logits": MODELS, "logits_initial": MODELS},
    ),
    **{
        f"potential.{name}": (
            getattr(potential, name),
            {
                "logits": MODELS,
                "temperature": [0.0, 0.5, 1.0, 2.0],
                "real": POOLS["probabilities"],
                "fraction": POOLS["[0, 1]"],
            },
        )
        for name in ("potential", "gradient")
    },
}  # fmt: skip


class Shortened(fp.loop.Sampler):
    """A sampler that forgets an outcome."""

    def __call__(self, logits):
        return logits[..., 1:]


class Texts(fp.loop.Sampler):
    """A sampler that returns no array."""

    def __call__(self, logits):
        return "logits"


REAL = np.array([0.0, 0.4, 0.6])
COUNTS = [1, 2, 5, np.int32(3), jnp.asarray(4)]
SAMPLERS = [
    fp.Temperature(0.5), fp.Temperature(1.0), fp.TopK(2), fp.Nucleus(0.9), fp.MinP(0.1), (),
    (fp.Temperature(2.0), fp.TopK(1)), fp.Temperature(np.ones(4)), Shortened(), Texts(),
]  # fmt: skip
CORPORA = [
    fp.Exact(), fp.Fresh(4), fp.Mixed(REAL, 0.25), fp.Pooled(REAL, 0.25),
    fp.Accumulated(), fp.Curated(3 * REAL), fp.Mixed(REAL[1:], 0.25), fp.Curated(REAL[1:]),
    fp.Accumulated(fp.Fresh(2), 1.0, 3, 2),
]  # fmt: skip
LEARNERS = [
    fp.Refit(), fp.GradientSteps(0.1), fp.MixtureStep(0.5), fp.GradientFlow(1.0),
    fp.FinalAnswer(["a", "b", "a"]), fp.FinalAnswer(["a", "b"]), fp.GradientSteps(REAL[1:]),
]  # fmt: skip
PARTS = {
    "Temperature": (fp.Temperature, {"temperature": ORDER}),
    "TopK": (fp.TopK, {"k": COUNTS}),
    "Nucleus": (fp.Nucleus, {"mass": POOLS["[0, 1]"]}),
    "MinP": (fp.MinP, {"ratio": POOLS["[0, 1]"]}),
    "Fresh": (fp.Fresh, {"num_samples": COUNTS}),
    "Mixed": (
        fp.Mixed,
        {"real": POOLS["probabilities"], "fraction": POOLS["[0, 1]"], "num_real": [None, 3]},
    ),
    "Pooled": (fp.Pooled, {"real": POOLS["probabilities"], "fraction": POOLS["[0, 1]"]}),
    "Accumulated": (
        fp.Accumulated,
        {"initial_weight": [1.0, 0.5], "initial_samples": [None, 3], "window": [None, 2]},
    ),
    "Curated": (fp.Curated, {"weights": [[1.0, 3.0, 0.0], np.ones(3)]}),
    "Refit": (fp.Refit, {"pseudo_counts": [0.0, 1.0]}),
    "GradientSteps": (
        fp.GradientSteps,
        {
            "step_size": [0.1, 1],
            "num_steps": COUNTS,
            "batch_size": [None, 4],
            "weight_decay": [0.0, 0.1],
            "start": ["last", "initial"],
        },
    ),
    "MixtureStep": (fp.MixtureStep, {"step_size": [0.5, 1.0], "start": ["last", "initial"]}),
    "GradientFlow": (
        fp.GradientFlow,
        {"time": [0.0, 1.0, INF], "rtol": [None, 1e-6], "max_steps": [100], "start": ["last"]},
    ),
    "FinalAnswer": (fp.FinalAnswer, {"answers": NAMED["answers"], "learner": LEARNERS[:2]}),
    "Loop": (fp.Loop, {"sampler": SAMPLERS, "corpus": CORPORA, "learner": LEARNERS}),
}
FEW: list[Any] = [LOGITS, jnp.array(LOGITS), [0.5, -0.25, 1.0]]
KEYS = [KEY, jax.random.PRNGKey(1)]
OBSERVE = [None, simplex.entropy]
TREES = [*OBSERVE, {"S": simplex.entropy, "alive": simplex.num_surviving}]
TRACES = fp.Loop(corpus=fp.Fresh(1), learner=fp.GradientSteps(0.1))
REFITS = fp.Loop(corpus=fp.Fresh(4))
CHAIN = chain.from_loop(REFITS)
RUNS = {
    "run": (
        fp.run,
        {
            "loop": [fp.Loop(), REFITS, TRACES],
            "logits": FEW,
            "num_generations": [3],
            "key": KEYS,
            "num_replicates": [None, 2],
            "observe": TREES,
            "save_at": [None, [0, 3], np.array([1, 2])],
            "devices": [None],
        },
    ),
    "run_traces": (
        fp.run_traces,
        {
            "loop": [TRACES],
            "logits": FEW,
            "num_generations": [20],
            "key": KEYS,
            "num_replicates": [2],
            "observe": OBSERVE,
            "save_at": [[0, 20]],
            "leap": [None],
            "devices": [None],
        },
    ),
    "run_resampling": (
        fp.run_resampling,
        {
            "loop": [REFITS],
            "logits": FEW,
            "num_generations": [20],
            "key": KEYS,
            "num_replicates": [2],
            "observe": OBSERVE,
            "save_at": [[0, 20]],
            "devices": [None],
        },
    ),
    "run_events": (
        run_events,
        {
            "loop": [TRACES],
            "logits": FEW,
            "log_generations": [[1.0, 5.0]],
            "key": KEYS,
            "num_replicates": [2],
            "observe": OBSERVE,
            "threshold": [0.01],
            "level": [0.5],
        },
    ),
    "flow": (
        fp.flow,
        {
            "loop": [fp.Loop(sampler=fp.Temperature(0.5))],
            "logits": FEW,
            "times": [[0.0, 1.0]],
            "observe": OBSERVE,
            "event": [None],
            "rtol": [None],
            "atol": [None],
            "max_steps": [1000],
            "solver": [None],
            "step_size": [None],
        },
    ),
    "solve": (fp.solve, {"loop": [fp.Loop(), REFITS, TRACES], "logits": MODELS}),
    "enumerate_histories": (
        enumerate_histories,
        {"loop": [REFITS], "logits": FEW, "num_generations": [0, 1]},
    ),
    "all_counts": (all_counts, {"num_outcomes": COUNTS, "num_samples": COUNTS}),
    "logarithmic_generations": (logarithmic_generations, {"num_generations": [0, 5, 1000]}),
}
CHAINS = {
    "from_loop": (
        chain.from_loop,
        {"loop": [REFITS], "num_outcomes": [2, 3], "initial": [None], "exchangeable": [False]},
    ),
    "absorption": (chain.absorption, {"chain": [CHAIN]}),
    "law": (chain.law, {"chain": [CHAIN], "generation": [0, 3], "start": [0, 2, np.ones(5) / 5]}),
    "stationary": (chain.stationary, {"chain": [CHAIN]}),
    "quasi_stationary": (chain.quasi_stationary, {"chain": [CHAIN]}),
    "spectrum": (chain.spectrum, {"chain": [CHAIN]}),
    "leading_spectrum": (chain.leading_spectrum, {"loop": [REFITS], "number": [1, 2]}),
    "index": (CHAIN.index, {"counts": [0, 4, [3, 1]]}),
    "first_generation": (CHAIN.first_generation, {"logits": [np.zeros(2), [0.0, -INF]]}),
    "traces_mean": (
        chain.traces_mean,
        {
            "loop": [TRACES],
            "logits": [np.zeros(2)],
            "generations": [3, [1, 5]],
            "observe": [simplex.entropy],
            "tolerance": [1e-6],
        },
    ),
    "sweep": (
        kernels.sweep,
        {"logits": FEW, "inverse_temperatures": [[0.0, 1.0, INF]], "devices": [None]},
    ),
    "temperature_for_entropy": (
        kernels.temperature_for_entropy,
        {"logits": FEW, "entropy": [0.5, 0.9], "devices": [None]},
    ),
    "cite": (citations.cite, {"labels": [[], ["tempering.logits"]]}),
}
GROUPS = {
    "law": (LAWS, 40),
    "simplex": (DISTRIBUTIONS, 14),
    "part": (PARTS, 12),
    "run": (RUNS, 12),
    "chain": (CHAINS, 10),
}
COMMAND = 4
"""Of a hundred cases; the rest are the groups'."""

DOCUMENTED = {
    "cite": (KeyError,),
    "flow": (RuntimeError,),
    "run": (FloatingPointError,),
    "absorption": (FloatingPointError,),
    "quasi_stationary": (FloatingPointError,),
    "traces_mean": (FloatingPointError,),
}
"""What may be raised besides ValueError."""

EXPLAINED = {
    "simplex.decomposition": "b and the recovery temperature are NaN where there is none",
    "flow.lineage": "NaN outside its range",
    "families.poisson": "NaN with too few terms",
    "metastability.staircase": "NaN near T = 1 with three outcomes and more",
    "geometry.reverse_kl_tail": "NaN before Ks = e",
    "survival.winner": "NaN outside its range",
}
"""Where NaN is an answer that the docstring explains."""


# --- One case -------------------------------------------------------------------------------------


def drawn(rng, pools, wrong, strange):
    """Arguments from their pools, `wrong` of them from the junk or, seldom, of strange shapes."""
    names = list(pools)
    spoilt = set(rng.sample(names, min(wrong, len(names))))
    values = {}
    for name in names:
        pool = pools[name]
        if name in spoilt:
            pool = JUNK if rng.random() >= strange else rng.choice([BATCHES, SHORT, SINGLE])
        values[name] = rng.choice(pool)
    return values


def leaves(result):
    """All arrays of floats in a result."""
    for leaf in jax.tree.leaves(result):
        if isinstance(leaf, float | np.ndarray | jax.Array | np.floating):
            with contextlib.suppress(TypeError):  # keys and texts
                array = np.asarray(leaf)
                if np.issubdtype(array.dtype, np.floating):
                    yield array


def complaint(name, function, arguments):
    """What is wrong with how a function takes its arguments; None if nothing is."""
    try:
        result = function(**arguments)
    except (ValueError, *DOCUMENTED.get(name, ())) as error:
        text = str(error)
        if isinstance(error, fp.NoClosedForm | KeyError | RuntimeError | FloatingPointError):
            return None
        if not re.match(r"`[^`]+` ", text) or "Traced<" in text or len(text) > 2000:
            return f"{type(error).__name__}: {text[:300]}"
        return None
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in where if "fixedpoint" in frame.filename]
        line = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""
        return f"{type(error).__name__}: {str(error)[:300]} ({line})"
    if name not in EXPLAINED and any(np.isnan(array).any() for array in leaves(result)):
        return "NaN"
    return None


def case_of_group(rng, group, valid, strange):
    table, _ = GROUPS[group]
    name = rng.choice(sorted(table))
    function, pools = table[name]
    wrong = 0 if rng.random() < valid else rng.choice((1, 1, 1, 2))
    arguments = drawn(rng, pools, wrong, strange)
    return f"{name}({arguments})", functools.partial(complaint, name, function, arguments)


# --- The command ----------------------------------------------------------------------------------

HALF_FLOATS = [np.float16, np.float32, np.float64, ml_dtypes.bfloat16]
TYPES = [*HALF_FLOATS, ">f8", ">f4", np.longdouble, np.int64, ">i4", bool, complex, "U3"]
NUMBERS = [
    "0", "-0", "1", "0.8", "2", "1e-3", "1e300", "inf", "-1", "nan", "-inf", "x", "", "1,5",
    "1e400", "0x1", "1_000", "½", "True", "None", "--", "1e-320",
]  # fmt: skip
WHOLES = ["0", "1", "2", "3", "-1", "2.5", "1e3", "x", "", "nan", "99999999999999999999", "1_0"]


def some_array(rng, generator):
    shape = rng.choice([(3,), (3,), (3,), (2, 3), (1,), (), (0,), (3, 0), (2, 2, 3)])
    values = generator.normal(size=shape)
    if values.size and rng.random() < 0.4:
        values.flat[0] = rng.choice([INF, -INF, NAN, 1e308, -1e308, 1e-310, 0.0])
    if values.size > 1 and rng.random() < 0.3:
        values.flat[1] = rng.choice([-INF, -1e308, 1e308])
    if rng.random() < 0.2 and values.size:
        values = np.exp(values) / np.exp(values).sum(-1, keepdims=True)
    if rng.random() < 0.1:
        values = np.full(shape, -INF)
    dtype = rng.choice([np.float64, *TYPES])
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return values.astype(dtype)


def some_file(rng, generator, folder):
    """Write an input; its name."""
    kind = rng.choice(["npy", "npy", "npz", "csv", "csv", "text", "words", "odd"])
    path = folder / f"in.{kind}"
    if kind == "npy":
        np.save(path, some_array(rng, generator))
    elif kind == "npz":
        arrays: dict[str, Any] = {
            rng.choice(["logits", "probabilities", "x"]): some_array(rng, generator)
        }
        if rng.random() < 0.5:
            labels = rng.choice([["a", "b", "c"], [b"a", b"b", b"c"], ["a"], [1, 2, 3], ["é"] * 3])
            arrays["outcomes"] = np.array(labels)
        if rng.random() < 0.2:
            arrays["y"] = np.zeros(3)
        np.savez(path, **arrays)
    elif kind == "csv":
        comma = rng.choice([",", ",", ",", ";", "\t", " ", "|"])
        numbers = ["3", "1", "0", "1e308", "2.5", "1,500", "-1", "nan", "inf", "", "x", "1e400"]
        likely = ["3", "1", "2", "5"]
        lines = [
            f"{label}{comma}{rng.choice(numbers if rng.random() < 0.15 else likely)}"
            for label in rng.choice(["abc", "aab", "a", "", "αβγ"])
        ]
        heads = ["outcome,count", "outcome;count", "word,count_2023", "sep=,", "a,b,c", "\ufeffo,c"]
        if rng.random() < 0.5:
            lines.insert(0, rng.choice(heads))
        path.write_bytes("\n".join(lines).encode(rng.choice(["utf-8", "utf-8", "utf-16"])))
    elif kind in ("text", "words"):
        letters = rng.choice(["abab ", string.printable, "ß İ ñ ", "日本 語", "\0\x01", "🙂👍🏽 "])
        text = "".join(rng.choice(letters) for _ in range(rng.choice([0, 1, 30])))
        path.write_bytes(text.encode() if rng.random() < 0.9 else b"\xff\xfe\xfa")
        return f"{kind}:{path.name}"
    else:
        name = rng.choice(["-", "text:-", "", ".", "gone.npy", "text:", "words:gone", "in.txt"])
        if rng.random() < 0.5:
            path = folder / rng.choice(["odd.npy", "odd.npz", "odd.csv"])
            path.write_bytes(rng.choice([b"", b"\x93NUMPY", b"PK\x03\x04", b"\0" * 40, b"a,b"]))
            return path.name
        return name
    return path.name


def some_command(rng, folder):
    generator = np.random.default_rng(rng.getrandbits(32))
    arguments = ["predict", some_file(rng, generator, folder)]

    def option(name, likely, odd, chance):
        if rng.random() < chance:
            value = rng.choice(likely) if rng.random() < 0.9 else rng.choice(odd)
            arguments.extend([f"{name}={value}"] if rng.random() < 0.3 else [name, value])

    option("--temperature", ["0.8", "1", "0", "2", "inf"], NUMBERS, 0.97)
    option("--generations", ["0", "2"], WHOLES, 0.97)
    option("--top-k", ["1", "2", "9"], WHOLES, 0.15)
    option("--top-p", ["0.5", "1"], NUMBERS, 0.15)
    option("--min-p", ["0.5", "1", "0"], NUMBERS, 0.15)
    option("--samples", ["4"], WHOLES, 0.25)
    option("--replicates", ["3"], WHOLES, 0.15)
    option("--seed", ["0", "7"], WHOLES, 0.1)
    option("--output", ["out.npz"], ["out.txt", "gone/out.npz", "", ".", "out"], 0.2)
    option("--color", ["1"], ["1"], 0.02)
    for flag, chance in (("--probabilities", 0.2), ("--json", 0.4), ("--jsn", 0.02)):
        if rng.random() < chance:
            arguments.append(flag)
    return arguments


def refuse_constants(text):
    raise ValueError(f"{text} is no JSON")


def complaint_of_command(arguments, folder):
    before = {path.name for path in folder.iterdir()}
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            with contextlib.chdir(folder):
                status = cli.main(arguments)
        except (Exception, SystemExit) as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            return f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
    printed, said = out.getvalue(), err.getvalue()
    made = {path.name for path in folder.iterdir()} - before
    if status == 2:
        if not re.fullmatch(r"fixedpoint( predict)?: [^\n]+\n", said):
            return f"says {said!r}"
        return f"left {made} behind" if made or printed else None
    if status != 0:
        return f"status {status}"
    if made - {"out.npz"}:
        return f"left {made} behind"
    if "--json" in arguments:
        try:
            json.loads(printed, parse_constant=refuse_constants)
        except ValueError as error:
            return f"prints no JSON: {error}"
    # A dash is the recovery temperature where there is none; two in a row are something else.
    elif re.search(r"\bnan\b|–.*–", printed):
        return "prints NaN"
    return None


def case_of_command(rng, folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        arguments = some_command(rng, folder)
    return " ".join(map(repr, arguments)), functools.partial(
        complaint_of_command, arguments, folder
    )


# --- All of them ----------------------------------------------------------------------------------


def fuzz(seed, number, folder, valid, strange=0.2):
    """Run so many cases; yield what was wrong with which.

    What is valid, or of a strange shape or type, is compiled: a part of the cases.
    """
    rng = random.Random(seed)
    groups, weights = zip(*((name, weight) for name, (_, weight) in GROUPS.items()), strict=True)
    for case in range(number):
        (group,) = rng.choices([*groups, "command"], [*weights, COMMAND])
        if group == "command":
            text, judge = case_of_command(rng, folder)
        else:
            text, judge = case_of_group(rng, group, valid, strange)
        started, memory = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        # The users' JAX lets shapes of different length meet, where the tests' own does not.
        with warnings.catch_warnings(), jax.numpy_rank_promotion("allow"):
            warnings.simplefilter("error")
            wrong = judge()
        seconds = time.process_time() - started
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) * 1024
        if seconds > SECONDS:
            wrong = f"took {seconds:.0f} s"
        if grown > BYTES:
            wrong = f"took {grown / 2**30:.1f} GiB"
        if wrong:
            yield f"case {case}, {text[:400]}\n    {wrong}"
        if case % 5000 == 4999:
            jax.clear_caches()
            gc.collect()


def test_an_answer_or_a_reason(tmp_path):
    found = list(fuzz("2,000 cases", 2_000, tmp_path / "here", valid=0.01, strange=0.02))
    assert not found, "\n".join([f"{len(found)} cases:", *found[:20]])


@pytest.mark.slow
def test_an_answer_or_a_reason_many_times(tmp_path):
    found = list(fuzz("100,000 cases", 100_000, tmp_path / "here", valid=0.1))
    assert not found, "\n".join([f"{len(found)} cases:", *found[:20]])
