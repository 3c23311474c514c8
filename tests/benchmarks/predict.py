"""The sweep behind `fixedpoint predict`, against the same figures by other libraries.

Every contestant starts from the same float32 table and computes, in float64, for each generation:
entropy, mode probability, effective number, divergence from generation 0 and surviving outcomes.
"""

import importlib.util
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import machine
import numpy as np
from race import Answer, Contestant, Race, Work, relative_error

from fixedpoint.kernels import sweep

TEMPERATURE, GENERATIONS = 0.9, 8


def race(quick: bool) -> Race:
    """256 contexts over 50,000 outcomes; 16 over 5,000 if quick."""
    shape = (16, 5_000) if quick else (256, 50_000)
    logits = (3 * np.random.default_rng(0).standard_normal(shape)).astype(np.float32)
    b = TEMPERATURE ** -np.arange(GENERATIONS, dtype=float)
    return Race(
        name="predict",
        title=f"predict: {shape[0]} × {shape[1]:,} float32 logits, {GENERATIONS} generations",
        contestants=list(_contestants(logits, b)),
        distance=relative_error,
        distance_name="largest relative difference of a figure",
        tolerance=1e-9,
        work=Work(bytes=logits.nbytes, exponentials=logits.size * len(b)),
    )


def _contestants(logits: np.ndarray, b: np.ndarray) -> Iterator[Contestant]:
    def fixedpoint() -> Answer:
        return _arrays(sweep(logits, b)._asdict())

    plain = jax.jit(sweep)

    yield Contestant("fixedpoint", fixedpoint)
    yield Contestant(
        "fixedpoint, one device, no options", lambda: _arrays(plain(logits, b)._asdict())
    )
    if machine.has_limit():
        yield Contestant(
            "limit: the sums alone in C",
            lambda: _from_sums(logits, b, *machine.tempered_sums(logits, b)),
        )
    if importlib.util.find_spec("numba"):
        yield Contestant("Numba, fused loop", _numba(logits, b))
    yield Contestant("NumPy, fused by rows, threads", _numpy_by_rows(logits, b))
    yield Contestant("NumPy", lambda: _by_generation(_numpy, logits, b))
    if importlib.util.find_spec("scipy"):
        yield Contestant("SciPy", lambda: _by_generation(_scipy(), logits, b))
    if importlib.util.find_spec("torch"):
        yield Contestant("PyTorch", lambda: _by_generation(_torch(), logits, b))
    yield Contestant("jax.numpy, jitted", lambda: _by_generation(_jax, logits, b))


def _arrays(figures: dict[str, Any]) -> Answer:
    return {name: np.asarray(values) for name, values in figures.items()}


def _by_generation(figures: Callable, logits: np.ndarray, b: np.ndarray) -> Answer:
    """One generation after the other, each from the logits, as the formulas are written."""
    found = [figures(logits, inverse_temperature) for inverse_temperature in b]
    names = ("entropy", "mode_probability", "effective_number", "kl_from_start", "surviving")
    return {
        name: np.stack(values) for name, values in zip(names, zip(*found, strict=True), strict=True)
    }


def _numpy(logits: np.ndarray, b: float) -> tuple[np.ndarray, ...]:
    def log_softmax(theta: np.ndarray) -> np.ndarray:
        shifted = theta - theta.max(-1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))

    theta = logits.astype(np.float64)
    log_p = log_softmax(b * theta)
    p = np.exp(log_p)
    entropy = -(p * log_p).sum(-1)
    divergence = (p * (log_p - log_softmax(theta))).sum(-1)
    return entropy, p.max(-1), np.exp(entropy), divergence, (logits > -np.inf).sum(-1)


def _scipy() -> Callable:
    from scipy.special import entr, log_softmax, rel_entr, softmax

    def figures(logits: np.ndarray, b: float) -> tuple[np.ndarray, ...]:
        theta = logits.astype(np.float64)
        p = softmax(b * theta, -1)
        entropy = entr(p).sum(-1)
        divergence = rel_entr(p, np.exp(log_softmax(theta, -1))).sum(-1)
        return entropy, p.max(-1), np.exp(entropy), divergence, (logits > -np.inf).sum(-1)

    return figures


def _torch() -> Callable:
    import torch  # pyright: ignore[reportMissingImports]

    torch.set_num_threads(machine.CORES)

    def figures(logits: np.ndarray, b: float) -> tuple[np.ndarray, ...]:
        theta = torch.from_numpy(logits).double()
        log_p = torch.log_softmax(theta * float(b), -1)
        p = log_p.exp()
        entropy = -(p * log_p).sum(-1)
        divergence = (p * (log_p - torch.log_softmax(theta, -1))).sum(-1)
        surviving = (theta > -torch.inf).sum(-1)
        numbers = (entropy, p.amax(-1), entropy.exp(), divergence, surviving)
        return tuple(number.numpy() for number in numbers)

    return figures


@jax.jit
def _jax(logits: jax.Array, b: jax.Array) -> tuple[jax.Array, ...]:
    theta = logits.astype(float)
    log_p = jax.nn.log_softmax(b * theta)
    p = jnp.exp(log_p)
    entropy = -(p * log_p).sum(-1)
    divergence = (p * (log_p - jax.nn.log_softmax(theta))).sum(-1)
    return entropy, p.max(-1), jnp.exp(entropy), divergence, (theta > -jnp.inf).sum(-1)


def _numpy_by_rows(logits: np.ndarray, b: np.ndarray) -> Callable[[], Answer]:
    """The same two sums as fixedpoint's, with NumPy on a row that stays in the cache."""

    def some(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        S0, S1 = np.empty((2, len(b), len(rows)))
        weight = np.empty(rows.shape[1])
        for row, theta in enumerate(rows):
            x = theta.astype(np.float64)
            x -= x.max()
            for generation, inverse_temperature in enumerate(b):
                np.multiply(x, inverse_temperature, out=weight)
                np.exp(weight, out=weight)
                S0[generation, row] = weight.sum()
                S1[generation, row] = np.einsum("i,i", weight, x)  # no BLAS threads of its own
        return S0, S1

    def run() -> Answer:
        with ThreadPoolExecutor(machine.CORES) as pool:
            parts = list(pool.map(some, np.array_split(logits, machine.CORES)))
        return _from_sums(
            logits, b, *(np.concatenate(part, 1) for part in zip(*parts, strict=True))
        )

    return run


def _numba(logits: np.ndarray, b: np.ndarray) -> Callable[[], Answer]:
    import numba

    @numba.njit(parallel=True, fastmath=True)
    def sums(logits, b, S0, S1):
        for row in numba.prange(logits.shape[0]):
            theta = logits[row]
            top = np.float64(theta.max())
            x = theta.astype(np.float64) - top
            for generation in range(len(b)):
                s0, s1 = 0.0, 0.0
                for i in range(len(x)):
                    weight = np.exp(b[generation] * x[i])
                    s0 += weight
                    s1 += x[i] * weight
                S0[generation, row] = s0
                S1[generation, row] = s1

    def run() -> Answer:
        S0, S1 = np.empty((2, len(b), len(logits)))
        sums(logits, b, S0, S1)
        return _from_sums(logits, b, S0, S1)

    return run


def _from_sums(logits: np.ndarray, b: np.ndarray, S0: np.ndarray, S1: np.ndarray) -> Answer:
    """The figures from the two sums; generation 0 has b = 1."""
    b = b[:, None]
    entropy = np.log(S0) - b * S1 / S0
    surviving = (logits > -np.inf).sum(-1)
    return {
        "entropy": entropy,
        "mode_probability": 1 / S0,
        "effective_number": np.exp(entropy),
        "kl_from_start": (b - 1) * S1 / S0 - np.log(S0 / S0[0]),
        "surviving": np.broadcast_to(surviving, S0.shape),
    }


RACES = {"predict": race}
