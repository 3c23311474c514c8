"""Truncation: samplers that cut the tail of what is drawn, again and again.

The loops, run.
"""

import numpy as np

from fixedpoint.laws.experiment import Combined, Experiment, absorbed, exact


def nucleus_support() -> list[Experiment]:
    """The exact refit of 60 words to the nucleus, until nothing is cut any more."""
    return [
        exact(0.5, logits=-exponent * np.log(np.arange(1, 61)), mass=mass, generation=60)
        for exponent, mass in ((1.0, 0.9), (1.5, 0.95), (0.8, 0.95), (0.5, 0.8))
    ]


def nucleus_boundary() -> list[Combined | Experiment]:
    """Two outcomes, directly and by what grows with n."""

    def run(share: float, mass: float, size: int, tolerance: float = 0) -> Experiment:
        gap = float(np.log(share / (1 - share)))
        return absorbed(tolerance=tolerance, gap=gap, mass=mass, num_samples=size)

    def growing(share: float, mass: float, size: int) -> Combined:
        runs = [run(share, mass, k * size) for k in (1, 4, 16)]
        return Combined(runs, (1 / 3, -1 / 2, 1 / 6), 0.2)

    # The boundary is overshot by 0.58 standard deviations of one generation, which is a time
    # ∝ √n, and a constant one where n(1 − π) is whole: from n, 4n and 16n samples they cancel.
    overshoot = 0.6 * np.sqrt(0.1 * 0.9 / 400)
    return [
        run(0.3, 0.9, 400, 800 * overshoot * np.log(9)),
        growing(0.5, 0.9, 50),
        growing(0.3, 0.9, 50),
        growing(0.4, 0.8, 25),
    ]
