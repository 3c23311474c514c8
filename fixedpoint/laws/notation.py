"""Every argument of the theory, said once: its name, its letter, what it is, how points are drawn.

A claim takes its arguments from here, with the range from which points are drawn:

    of=(notation.logits(-3, 3), notation.num_samples(2, 2000), notation.generation(0, 3000))

One name and one letter stand for one thing in all laws; the paper prints its table of notation
from this module (`table`).
"""

from typing import Any

import sympy as sp

from fixedpoint.laws.equation import NUM_OUTCOMES, Argument

theta: Any = sp.IndexedBase("theta", real=True)
psi: Any = sp.IndexedBase("psi", real=True)
T: Any = sp.Symbol("T", positive=True)
beta: Any = sp.Symbol("beta", positive=True)
t: Any = sp.Symbol("t", integer=True, nonnegative=True)
tau: Any = sp.Symbol("tau", positive=True)
n: Any = sp.Symbol("n", integer=True, positive=True)
B: Any = sp.Symbol("B", integer=True, positive=True)
K: Any = NUM_OUTCOMES
eta: Any = sp.Symbol("eta", positive=True)
lam: Any = sp.Symbol("lambda", positive=True)
a: Any = sp.Symbol("a", positive=True)
M: Any = sp.Symbol("M", integer=True, positive=True)
z: Any = sp.Symbol("z", real=True)
m: Any = sp.Symbol("m", integer=True, positive=True)
epsilon: Any = sp.Symbol("epsilon", positive=True)

logits = Argument(
    "logits", theta, "θ, the model at generation 0; -inf marks a lost outcome", "vector"
)
logits_real = Argument("logits_real", psi, "ψ, the logits of the real data", "vector")
logits_target = Argument("logits_target", psi, "ψ, the logits of a frozen teacher", "vector")
temperature = Argument("temperature", T, "T ≥ 0, the sampling temperature")
inverse_temperature = Argument("inverse_temperature", beta, "β = 1/T ≥ 0")
generation = Argument("generation", t, "t ≥ 0, the number of generations", "integer")
time = Argument("time", tau, "τ ≥ 0, learning rate × steps")
num_samples = Argument("num_samples", n, "n ≥ 1, samples that a generation draws", "integer")
batch_size = Argument("batch_size", B, "B ≥ 1, samples that one gradient step sees", "integer")
num_outcomes = Argument("num_outcomes", K, "K ≥ 1, how many outcomes there are", "integer")
step_size = Argument("step_size", eta, "η > 0, the step of a learner")
weight_decay = Argument("weight_decay", lam, "λ ≥ 0, the pull of the logits to 0")
fraction = Argument("fraction", a, "a in [0, 1], the share of real data")
num_real = Argument("num_real", M, "M ≥ 0, real samples in a generation")
gap = Argument("gap", z, "z, the difference of two logits")
num_modes = Argument("num_modes", m, "m ≥ 1, how many outcomes share the largest logit", "integer")
tolerance = Argument("tolerance", epsilon, "ε in (0, 1), what counts as small")


def table() -> list[Argument]:
    """Every argument, in the order of this module."""
    return [value for value in globals().values() if isinstance(value, Argument)]
