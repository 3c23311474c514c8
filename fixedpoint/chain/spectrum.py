"""The leading spectrum of the chain of two outcomes.

An eigenfunction f of the transitions P, as a function of the state, may be anything; but what the
next generation is worth, h(y) = E f(N′) for N′ ~ Binomial(n, y), is a polynomial in the probability
y that is drawn with, and smooth on the scale √(y(1 − y)/n) whatever the sampler does. With p_k the
probability that state k draws with, Pf = λf says

    Σ_k Binomial(k; n, y) h(p_k) = λ h(y),

and some 3√n Chebyshev nodes in y hold h to all its digits.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float

from fixedpoint import checks
from fixedpoint.chain.counts import binomial
from fixedpoint.chain.states import Chain, drawn_probabilities
from fixedpoint.loop.generation import Loop

__all__ = ["Spectrum", "leading_spectrum", "spectrum"]


LARGEST = 20_000
"""Most samples of `leading_spectrum`: its tables of samples × nodes then take a quarter of a GB."""

GROWTH = (0.7, 1.0, 1.4, 2.0, 2.8)
"""Numbers of nodes that are tried in turn, in units of 24 + 4√n."""


class Spectrum(NamedTuple):
    """Leading eigenvalues, largest modulus first.

    Attributes:
        eigenvalues: of the transitions among the states that are not absorbing.
        error: of each of them: its distance from the nearest one found with 0.7 times the nodes,
            which is far above what is left with all of them.
    """

    eigenvalues: Complex[np.ndarray, " number"]
    error: Float[np.ndarray, " number"]


def spectrum(chain: Chain) -> Complex[np.ndarray, " transient"]:
    """All eigenvalues of the transitions among the states that are not absorbing.

    Args:
        chain: The chain. Each absorbing state adds an eigenvalue 1, which is left out.

    Returns:
        The eigenvalues, largest modulus first.

    Validity:
        By a dense solver, backward stable: the leading ones to 1e-12, the smallest may be lost in
        the rounding of the largest, as the matrix is far from normal. `quasi_stationary` gives the
        distance of the first from 1 to its last digits. Cost S³, ten times that of a solve.

    Example:
        >>> import fixedpoint as fp
        >>> two = fp.chain.from_loop(fp.Loop(corpus=fp.Fresh(4)))
        >>> fp.chain.spectrum(two).real * 32  # at T = 1: n(n-1)…(n-j+1)/nʲ, j = 2, 3, 4
        array([24., 12.,  3.])

    References:
        Feller (1951), Diffusion processes in genetics (the eigenvalues at T = 1).
    """
    checks.check_kind(chain, Chain, "chain", "a Chain (chain.from_loop)")
    inside = np.flatnonzero(~chain.absorbing)
    return _sorted(np.linalg.eigvals(chain.matrix[np.ix_(inside, inside)]))


def leading_spectrum(loop: Loop, number: int = 4) -> Spectrum:
    """Leading eigenvalues of the chain of two outcomes, without its matrix.

    Args:
        loop: A loop that `from_loop` accepts (learners that start from the initial model excepted),
            with n samples.
        number: How many eigenvalues, at least 1.

    Returns:
        The eigenvalues, and for each an estimate of its error.

    Raises:
        ValueError: If the loop is no chain of counts, has fewer eigenvalues, or more than 20,000
            samples.

    Validity:
        Collocation at 24 + 4√n Chebyshev nodes, or up to 2.8 times as many, until the errors are
        below 1e-11 (`tests/chain/test_spectrum.py`). Cost n^{3/2} instead of n³.

    Example:
        >>> import fixedpoint as fp
        >>> found = fp.chain.leading_spectrum(fp.Loop(corpus=fp.Fresh(1000)), 2)
        >>> print(found.eigenvalues.real.round(9))  # 1 − 1/n, (1 − 1/n)(1 − 2/n)
        [0.999    0.997002]

    References:
        Trefethen (2013), Approximation theory and approximation practice (Chebyshev nodes).
    """
    checks.check_count(number, "number")
    models, num_samples, absorbing = drawn_probabilities(loop, LARGEST)
    states = num_samples + 1 - int(absorbing.sum())
    if number > states:
        raise ValueError(f"`number` must be at most {states}, all there are; got {number}.")
    found = np.empty(0)
    error = np.full(number, np.inf)
    for growth in GROWTH:
        nodes = min(states, int(growth * (24 + 4 * np.sqrt(num_samples))))
        coarse, found = found, _collocated(models, num_samples, absorbing, nodes)
        if nodes >= number and coarse.size:
            error = np.abs(found[:number, None] - coarse).min(1)
        if nodes == states:
            error = np.full(number, 1e-13)  # as many nodes as states leave nothing out
        if error.max() <= 1e-11:
            break
    return Spectrum(found[:number], error)


def _collocated(
    models: list[tuple[float, np.ndarray]], n: int, absorbing: np.ndarray, nodes: int
) -> np.ndarray:
    angle = (np.arange(nodes) + 0.5) * np.pi / nodes
    degree = np.arange(nodes)
    analysis = np.cos(np.outer(degree, angle)) * (2 / nodes)
    analysis[0] /= 2
    # y = sin²(α/2): both y and 1 − y to their last digits.
    y, rest = np.sin(angle / 2) ** 2, np.cos(angle / 2) ** 2
    held = 0
    for weight, p in models:
        values = np.cos(np.outer(2 * np.arcsin(np.sqrt(p[:, 0])), degree))
        held = held + weight * _vanishing(p[:, 0], p[:, 1], absorbing)[:, None] * values
    after = binomial(np.log(np.stack([y, rest], -1)), n) @ held
    return _sorted(np.linalg.eigvals(analysis @ (after / _vanishing(y, rest, absorbing)[:, None])))


def _vanishing(y: np.ndarray, rest: np.ndarray, absorbing: np.ndarray) -> np.ndarray:
    """The factor of h that vanishes where an absorbing state is certain."""
    return np.where(absorbing[0], y, 1) * np.where(absorbing[-1], rest, 1)


def _sorted(eigenvalues: np.ndarray) -> np.ndarray:
    eigenvalues = np.asarray(eigenvalues, complex)
    return eigenvalues[np.argsort(-np.abs(eigenvalues), kind="stable")]
