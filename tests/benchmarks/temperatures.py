"""Hundreds of temperatures of one table, and the temperature of a given entropy."""

import importlib.util
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from predict import _numba, _numpy_by_rows
from race import Answer, Contestant, Growth, Race

from fixedpoint.kernels import sweep, temperature_for_entropy
from fixedpoint.kernels.spectrum import compress, spectral_sums
from fixedpoint.laws import tempering

FEW = 4
"""Temperatures for which the direct contestants are timed where a thousand would take too long."""


def many(quick: bool) -> Race:
    """1,000 temperatures of 256 contexts, 50,000 outcomes; 120 of 4 contexts, 5,000 if quick."""
    (*shape, number) = (4, 5_000, 120) if quick else (256, 50_000, 1_000)
    logits = (3 * np.random.default_rng(0).standard_normal(shape)).astype(np.float32)
    b = np.geomspace(1 / 16, 16, number)
    few = b[:: number // FEW]

    def entropies(b: np.ndarray, compressed: bool) -> Answer:
        return {"entropy": np.asarray(sweep(logits, b, compressed=compressed).entropy)}

    # Each is asked for the same few, and the compressed ones for all the others as well.
    contestants = [
        Contestant(
            f"compressed, {number:,} temperatures", lambda: _few(entropies(b, True), number)
        ),
        Contestant(f"compressed, {FEW} temperatures", lambda: entropies(few, True)),
        Contestant(f"direct, {FEW} temperatures", lambda: entropies(few, False)),
    ]
    if importlib.util.find_spec("numba"):
        contestants.append(Contestant(f"Numba, {FEW} temperatures", _of(_numba(logits, few))))
    contestants.append(
        Contestant(f"NumPy by rows, {FEW} temperatures", _of(_numpy_by_rows(logits, few)))
    )
    return Race(
        name="temperatures",
        title=f"entropies: {shape[0]} × {shape[1]:,} float32 logits, up to {number:,} temperatures",
        contestants=contestants,
        distance=largest_difference,
        distance_name="largest difference of an entropy",
        tolerance=1e-9,
    )


def further(quick: bool) -> Race:
    """1,000 more temperatures once a table is compressed, against 4 of a direct sweep."""
    (*shape, number) = (4, 5_000, 120) if quick else (256, 50_000, 1_000)
    logits = (3 * np.random.default_rng(0).standard_normal(shape)).astype(np.float32)
    b = np.geomspace(1 / 16, 16, number)
    spectrum = compress(jnp.asarray(logits), b[0], b[-1])

    @jax.jit
    def entropies(b: jax.Array) -> jax.Array:
        rest, slope, num_modes, _ = spectral_sums(spectrum, b)
        return jnp.log1p(rest + (num_modes - 1)) - b[:, None] * slope / (rest + num_modes)

    few = b[:: number // FEW]
    return Race(
        name="temperatures-further",
        title=f"further entropies of a compressed table: {shape[0]} × {shape[1]:,} float32 logits",
        contestants=[
            Contestant(
                f"spectrum, {number:,} temperatures",
                lambda: _few({"entropy": np.asarray(entropies(b))}, number),
            ),
            Contestant(
                f"direct, {FEW} temperatures",
                lambda: {"entropy": np.asarray(sweep(logits, few, compressed=False).entropy)},
            ),
        ],
        distance=largest_difference,
        distance_name="largest difference of an entropy",
        tolerance=1e-9,
    )


def roots(quick: bool) -> Race:
    """The temperature at which each of 256 contexts has an entropy of 3 nats."""
    shape = (4, 1_000) if quick else (256, 50_000)
    logits = (3 * np.random.default_rng(1).standard_normal(shape)).astype(np.float32)
    entropy = np.full(len(logits), 3.0)
    contestants = [
        Contestant(
            "fixedpoint, temperature_for_entropy",
            lambda: {"temperature": np.asarray(temperature_for_entropy(logits, entropy))},
        )
    ]
    if importlib.util.find_spec("scipy"):
        contestants.append(
            Contestant("SciPy, brentq for each row", lambda: _brentq(logits, entropy))
        )
    return Race(
        name="roots",
        title=f"temperature of a given entropy: {shape[0]} × {shape[1]:,} float32 logits",
        contestants=contestants,
        distance=largest_difference,
        distance_name="largest difference of a temperature",
        tolerance=1e-9,
    )


def largest_difference(answer: Answer, reference: Answer) -> float:
    """Largest absolute difference of any number."""
    return max(float(np.abs(answer[name] - reference[name]).max()) for name in reference)


def _few(answer: Answer, number: int) -> Answer:
    return {name: values[:: number // FEW] for name, values in answer.items()}


def _of(run: Callable[[], Answer]) -> Callable[[], Answer]:
    return lambda: {"entropy": run()["entropy"]}


def _brentq(logits: np.ndarray, entropy: np.ndarray) -> Answer:
    from scipy.optimize import brentq

    def solve(row: np.ndarray, target: float) -> float:
        x = row.astype(np.float64) - row.max()

        def excess(log_b: float) -> float:
            b = np.exp(log_b)
            weight = np.exp(b * x)
            total = weight.sum()
            return np.log(total) - b * (weight @ x) / total - target

        log_b: Any = brentq(excess, -7.0, 7.0, xtol=1e-13)
        return float(np.exp(-log_b))

    pairs = zip(logits, entropy, strict=True)
    return {"temperature": np.array([solve(row, target) for row, target in pairs])}


def _table(num_rows: int, num_outcomes: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (3 * rng.standard_normal((num_rows, num_outcomes))).astype(np.float32)


def sweep_growth(quick: bool) -> Growth:
    """A sweep against the number of outcomes."""
    sizes = [256, 1024, 4096] if quick else [1024, 4096, 16384, 65536, 262144]

    def prepare(size: int) -> Callable[[], object]:
        logits, b = _table(64, size), np.linspace(0.5, 2, 8)
        return lambda: np.asarray(sweep(logits, b).entropy)

    title = "sweep: 64 contexts, 8 temperatures"
    return Growth("sweep-outcomes", title, "outcomes", sizes, prepare)


def spectrum_growth(quick: bool) -> Growth:
    """A compressed sweep against the number of temperatures."""
    sizes = [128, 512, 2048] if quick else [128, 512, 2048, 8192]
    logits = _table(8, 5_000) if quick else _table(64, 20_000)

    def prepare(size: int) -> Callable[[], object]:
        b = np.geomspace(0.1, 10, size)
        return lambda: np.asarray(sweep(logits, b, compressed=True).entropy)

    title = "compressed sweep: 64 contexts, 20,000 outcomes"
    return Growth("spectrum-temperatures", title, "temperatures", sizes, prepare)


def generation_growth(quick: bool) -> Growth:
    """The closed form of tempering against the generation."""
    sizes = [1, 10, 100] if quick else [1, 10, 100, 1_000, 10_000, 100_000]
    logits = jnp.asarray(_table(64, 4096))

    def prepare(size: int) -> Callable[[], object]:
        return lambda: np.asarray(tempering.logits(logits, 0.9999, size))

    return Growth(
        "closed-form-generations",
        "closed form of tempering: 64 contexts, 4,096 outcomes",
        "generations",
        sizes,
        prepare,
    )


RACES = {"temperatures": many, "temperatures-further": further, "roots": roots}
GROWTH = {
    "sweep-outcomes": sweep_growth,
    "spectrum-temperatures": spectrum_growth,
    "closed-form-generations": generation_growth,
}
