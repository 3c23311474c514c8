"""Mixing: the loops themselves, run, and what their single generations show.

A generation is linear in the share of real data: from one draw of the loop the share follows at
which a model stays as it is. Thresholds are where this share, seen along all models of a kind, has
a turning point.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optimistix
from jaxtyping import Array

from fixedpoint import potential, simplex
from fixedpoint.laws.experiment import Experiment, exact
from fixedpoint.laws.observation import Observation
from fixedpoint.loop import Loop, Mixed, Temperature, run

ROUNDING = 1e-12


def mixed(temperature: Any, fraction: Any, real: Any) -> Loop:
    """Refits to very many own samples and a share of real data."""
    return Loop(Temperature(temperature), Mixed(jnp.asarray(real), fraction))


def leading(size: int, top: int, gap: Any) -> Array:
    """Logits of a model of which some outcomes lead all others by the gap."""
    return jnp.where(jnp.arange(size) < top, gap, 0.0)


def uniform(size: int) -> Array:
    """Real data that are all alike."""
    return jnp.full(size, 1 / size)


def share_needed(logits: Array, temperature: Any, real: Array) -> Array:
    """The share of real data at which the loop leaves the first outcome as probable as it is."""
    drawn, p = (simplex.probabilities(x)[0] for x in (logits / temperature, logits))
    return (p - drawn) / (real[0] - drawn)


def largest(function: Callable[[Array], Array], low: float, high: float) -> tuple[float, float]:
    """Where a function of one variable with one maximum has it, and its value there."""
    slope = jax.grad(function)
    solver = optimistix.Bisection(rtol=1e-12, atol=1e-12)
    options = {"lower": low, "upper": high}
    found = optimistix.root_find(
        lambda x, _: slope(x), solver, jnp.asarray((low + high) / 2), options=options
    )
    return float(found.value), float(function(found.value))


def fraction() -> list[Observation]:
    """From one generation the share at which nothing moves; a long run then stays there."""
    observations = []
    for gap, top, size, temperature in (
        (1.5, 1, 3, 0.5),
        (0.7, 2, 5, 0.8),
        (3.0, 1, 12, 0.9),
        (2.2, 2, 3, 0.6),
    ):
        logits, real = leading(size, top, gap), uniform(size)
        share = float(share_needed(logits, temperature, real))
        after = run(mixed(temperature, share, real), logits, 1, save_at=[1], progress=False)
        moved = jnp.abs(simplex.difference(after.value[0], logits)).max()
        assert moved < ROUNDING, "the loop moves the model that should rest"
        observations.append(
            Observation(
                what=f"K = {size}, m = {top}, z = {gap}, T = {temperature}: a generation at rest",
                arguments={
                    "gap": gap,
                    "num_top": top,
                    "num_outcomes": size,
                    "temperature": temperature,
                },
                value=share,
                tolerance=ROUNDING,
            )
        )
    return observations


def factor(gap: float, top: int, size: int, temperature: float, change: Any) -> float:
    """By how much a generation stretches a small change of the probabilities of a model at rest."""
    logits, real = leading(size, top, gap), uniform(size)
    loop = mixed(temperature, share_needed(logits, temperature, real), real)

    def following(step: Any) -> Array:
        p = simplex.probabilities(logits) + step * jnp.asarray(change)
        return simplex.probabilities(loop.generation(jnp.log(p))[0])

    return float(jax.jvp(following, (0.0,), (1.0,))[1][0] / change[0])


def approach() -> list[Observation]:
    """The derivative of the loop's generation, along the change that keeps both values."""
    return [
        Observation(
            what=f"K = {size}, m = {top}, z = {gap}, T = {temperature}: one generation's slope",
            arguments={
                "gap": gap,
                "num_top": top,
                "num_outcomes": size,
                "temperature": temperature,
            },
            value=factor(
                gap,
                top,
                size,
                temperature,
                [1 / top] * top + [-1 / (size - top)] * (size - top),
            ),
            tolerance=ROUNDING,
        )
        for gap, top, size, temperature in (
            (1.5, 1, 3, 0.5),
            (0.7, 2, 5, 0.8),
            (3.0, 1, 12, 0.9),
            (2.2, 2, 3, 0.6),
        )
    ]


def stability() -> list[Observation]:
    """The derivative of the loop's generation, along a change among those that lead."""
    return [
        Observation(
            what=f"K = {size}, m = {top}, z = {gap}, T = {temperature}: one generation's slope",
            arguments={"gap": gap, "temperature": temperature},
            value=factor(gap, top, size, temperature, [1.0, -1.0] + [0.0] * (size - 2)),
            tolerance=ROUNDING,
        )
        for gap, top, size, temperature in ((1.5, 2, 3, 0.5), (0.7, 3, 5, 0.8), (3.0, 2, 9, 0.9))
    ]


def turning_point(size: int, top: int, temperature: float) -> float:
    """The largest share at which a model of two values rests."""
    real = uniform(size)
    odds = np.log((size - top) / top)
    return largest(
        lambda gap: share_needed(leading(size, top, gap), temperature, real),
        odds / 100,
        2 * odds,
    )[1]


def spinodal() -> list[Observation]:
    """The turning point of the share at rest; beside it runs that stay, and that do not."""
    return [
        Observation(
            what=f"K = {size}, m = {top}, T = {temperature}: the turning point",
            arguments={"num_top": top, "num_outcomes": size, "temperature": temperature},
            value=turning_point(size, top, temperature),
            tolerance=ROUNDING,
        )
        for size, top, temperature in ((3, 1, 0.5), (10, 1, 0.8), (7, 2, 0.6), (500, 1, 0.9))
    ] + [survivor(size, temperature) for size, temperature in ((3, 0.5), (6, 0.7))]


def survivor(size: int, temperature: float) -> Observation:
    """Runs from a peaked model on both sides of the threshold, halved until they are 1e-5 apart."""
    low, high = 0.0, 1.0
    while high - low > 1e-5:
        middle = (low + high) / 2
        loop = mixed(temperature, middle, uniform(size))
        end = run(
            loop,
            leading(size, 1, 9.0),
            20_000,
            observe=simplex.mode_probability,
            save_at=[20_000],
            progress=False,
        ).value[0]
        low, high = (middle, high) if end > 1.2 / size else (low, middle)
    return Observation(
        what=f"K = {size}, T = {temperature}: runs of 20,000 generations that stay, or let go",
        arguments={"num_top": 1, "num_outcomes": size, "temperature": temperature},
        value=(low + high) / 2,
        tolerance=2e-5,
    )


def spinodal_asymptotic() -> list[Observation]:
    """The turning point of the share at rest among very many outcomes."""
    return [
        Observation(
            what=f"K = {size:,}, T = {temperature}: the turning point",
            arguments={"num_outcomes": size, "temperature": temperature},
            value=1 - lumped_turning_point(size, temperature),
            tolerance=bound,
        )
        for size, temperature, bound in (
            (10**5, 0.5, 4.5e-5),
            (10**6, 0.5, 4.5e-6),
            (10**6, 0.3, 2e-6),
            (10**6, 0.7, 3e-4),
        )
    ]


def lumped_turning_point(size: int, temperature: float) -> float:
    """`turning_point` with all that follow taken together, of whose logits only one is needed."""

    def share(gap: Array) -> Array:
        drawn, p = (1 / (1 + (size - 1) * jnp.exp(-y)) for y in (gap / temperature, gap))
        return (p - drawn) / (1 / size - drawn)

    return largest(share, 0.01 * np.log(size), 2 * np.log(size))[1]


def maxwell() -> list[Observation]:
    """Peaked models that rest, and the one of them whose potential is the uniform model's."""
    observations = []
    for size, temperature in ((3, 0.5), (10, 0.5), (10, 0.9), (4, 0.3)):
        real = uniform(size)

        def level(
            gap: Array, _: Any, size: int = size, temperature: float = temperature, real: Any = real
        ) -> Array:
            peaked = leading(size, 1, gap)
            share = share_needed(peaked, temperature, real)
            both = (peaked, jnp.zeros(size))
            there, uniform_one = (potential.potential(x, temperature, real, share) for x in both)
            return there - uniform_one

        lead = np.log(size - 1)
        options = {"lower": lead * temperature / 2, "upper": 1.5 * lead}
        solver = optimistix.Bisection(rtol=1e-13, atol=1e-13)
        gap = optimistix.root_find(level, solver, jnp.asarray(lead), options=options).value
        observations.append(
            Observation(
                what=f"K = {size}, T = {temperature}: equal potentials, by bisection",
                arguments={"num_outcomes": size, "temperature": temperature},
                value=float(share_needed(leading(size, 1, gap), temperature, real)),
                tolerance=1e-10,
            )
        )
    return observations


def pitchfork() -> list[Observation]:
    """Long runs from a sharp model."""
    return [
        Observation(
            what=f"a = {share}: a run of 2,000 generations",
            arguments={"fraction": share},
            value=-jnp.diff(simplex.probabilities(ended(share, 0.5, uniform(2), [4.0, 0.0])))[0],
            tolerance=1e-10,
        )
        for share in (0.1, 0.3, 0.48)
    ]


def ended(share: float, temperature: float, real: Any, start: Any) -> Array:
    """Where a run of 2,000 generations ends."""
    loop = mixed(temperature, share, real)
    return run(loop, jnp.asarray(start), 2000, save_at=[2000], progress=False).value[0]


def cusp() -> list[Observation]:
    """The turning point of the share at which a model leans against the real data."""
    observations = []
    for gap_real, temperature in ((0.5, 0.5), (2.0, 0.5), (1.0, 0.8), (6.0, 0.3)):
        real = simplex.probabilities(jnp.array([0.0, gap_real]))
        share = largest(
            lambda gap, temperature=temperature, real=real: share_needed(
                jnp.stack([gap, jnp.zeros(())]), temperature, real
            ),
            1e-6,
            2 * temperature * np.log(4 / temperature) / (2 * (1 - temperature)),
        )[1]
        observations.append(
            Observation(
                what=f"g = {gap_real}, T = {temperature}: the turning point",
                arguments={"gap_real": gap_real, "temperature": temperature},
                value=share,
                tolerance=ROUNDING,
            )
        )
    return observations


def guarantee() -> list[Observation]:
    """The largest eigenvalue of tempered against own Fisher matrices, climbed from many models."""
    observations = []
    for size, temperature in ((2, 0.5), (3, 0.5), (4, 0.7), (6, 0.4)):

        def factor(logits: Array, _: Any, temperature: float = temperature) -> Array:
            drawn, own = (simplex.fisher_matrix(x)[1:, 1:] for x in (logits / temperature, logits))
            root = jnp.linalg.cholesky(own)
            inner = jax.scipy.linalg.solve_triangular(root, drawn, lower=True)
            inner = jax.scipy.linalg.solve_triangular(root, inner.T, lower=True)
            return -jnp.linalg.eigvalsh(inner)[-1] / temperature

        starts = jax.random.normal(jax.random.key(size), (24, size)) * 2
        solver = optimistix.BFGS(rtol=1e-12, atol=1e-12)
        ends = [
            optimistix.minimise(factor, solver, start, max_steps=5000, throw=False).value
            for start in starts
        ]
        worst = max(-float(factor(end, None)) for end in ends)
        observations.append(
            Observation(
                what=f"K = {size}, T = {temperature}: the worst model of 24 searches",
                arguments={"num_outcomes": size, "temperature": temperature},
                value=1 - 1 / worst,
                tolerance=1e-7,
            )
        )
    return observations


def kl_bound() -> list[Observation]:
    """Generations from models that have nearly lost what is real."""
    observations = []
    for share, temperature, gap in ((0.3, 0.5, 20.0), (0.05, 0.8, 30.0), (0.3, 1.5, 60.0)):
        real = jnp.array([1.0, 0.0, 0.0]) if gap > 25 else jnp.array([0.98, 0.01, 0.01])
        loop = mixed(temperature, share, real)
        after = run(loop, jnp.array([-gap, 0.0, 0.3]), 1, save_at=[1], progress=False).value[0]
        observations.append(
            Observation(
                what=f"a = {share}, T = {temperature}: a generation after {gap:g} nats behind",
                arguments={"fraction": share},
                value=simplex.kl_divergence(jnp.log(real), after),
                tolerance=ROUNDING,
            )
        )
    return observations


def hot() -> list[Experiment]:
    """Long runs, from models that are far from the real data."""
    return [
        exact(
            logits=[3.0, 0.0, -2.0],
            logits_real=real,
            fraction=share,
            temperature=temperature,
            generation=2000,
        )
        for real, share, temperature in (
            ([0.2, 1.5, -0.4], 0.1, 1.5),
            ([0.2, 1.5, -0.4], 0.4, 1.2),
            ([-1.0, 0.0, 2.0], 0.05, 3.0),
        )
    ]
