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

logits = Argument("logits", theta, "the model at generation 0; -inf marks a lost outcome", "vector")
logits_answers = Argument(
    "logits_answers",
    sp.IndexedBase("alpha", real=True),
    "the logits of the final answers; -inf marks a lost one",
    "vector",
)
logits_real = Argument("logits_real", psi, "the logits of the real data", "vector")
logits_target = Argument("logits_target", psi, "the logits of a frozen teacher", "vector")
temperature = Argument("temperature", T, "T ≥ 0, the sampling temperature")
inverse_temperature = Argument("inverse_temperature", beta, "β = 1/T ≥ 0")
generation = Argument("generation", t, "t ≥ 0, the number of generations", "integer")
time = Argument("time", tau, "τ ≥ 0, learning rate × steps")
num_samples = Argument("num_samples", n, "n ≥ 1, samples that a generation draws", "integer")
batch_size = Argument("batch_size", B, "B ≥ 1, samples that one gradient step sees", "integer")
num_outcomes = Argument("num_outcomes", K, "K ≥ 1, how many outcomes there are", "integer")
step_size = Argument("step_size", eta, "η > 0, the step of a learner")
weight_decay = Argument("weight_decay", lam, "λ ≥ 0, the pull of the logits to 0")
fraction = Argument("fraction", a, "the share of real data, in [0, 1]")
num_real = Argument("num_real", M, "M ≥ 0, real samples in a generation")
gap = Argument("gap", z, "the difference of two logits")
num_modes = Argument("num_modes", m, "m ≥ 1, how many outcomes share the largest logit", "integer")
tolerance = Argument("tolerance", epsilon, "ε in (0, 1), what counts as small")
base_slope = Argument("base_slope", sp.Symbol("c", real=True), "the slope of the base measure")
chart = Argument(
    "chart", sp.Symbol("c", integer=True, positive=True), "in which chart noise is even"
)
diffusion_time = Argument(
    "diffusion_time", sp.Symbol("s", positive=True), "s ≥ 0, the time ητ/n of a diffusion"
)
entropies = Argument(
    "entropies", sp.IndexedBase("H", real=True), "H ≥ 0, of the reasonings of each answer", "vector"
)
degree = Argument(
    "degree", sp.Symbol("d", integer=True), "d, of the temperature T = (d-1)/(d+1)", "integer"
)
exponent = Argument("exponent", sp.Symbol("alpha", positive=True), "α > 0, of a power law")
gap_initial = Argument("gap_initial", sp.Symbol("z_0", real=True), "the gap at generation 0")
gap_target = Argument("gap_target", sp.Symbol("z_*", real=True), "the gap of the target")
gap_real = Argument("gap_real", sp.Symbol("g", real=True), "the gap of the real data")
heterozygosity = Argument(
    "heterozygosity", sp.Symbol("h", positive=True), "h = 1 - Σp², of a model"
)
heterozygosities = Argument(
    "heterozygosities",
    sp.IndexedBase("h", shape=(t,), positive=True),
    "h_t = E[1 - Σp²] before each generation",
    "vector",
)
initial_weight = Argument(
    "initial_weight",
    sp.Symbol("w_0", positive=True),
    "w₀ > 0, the weight of the initial data, in corpora",
)
inverse_temperature_other = Argument(
    "inverse_temperature_other",
    sp.Symbol(r"\beta'", positive=True),
    "β′ ≥ 0, of another tempered model",
)
kept = Argument(
    "kept",
    sp.Symbol("k", integer=True, positive=True),
    "k ≥ 1, outcomes that a truncation keeps",
    "integer",
)
level = Argument("level", sp.Symbol("p_0", positive=True), "p₀ in (½, 1), what counts as leading")
log_generation = Argument(
    "log_generation",
    sp.Symbol(r"{\log t}", positive=True),
    "the logarithm of a generation beyond 10³⁰⁸",
)
log_ratio = Argument(
    "log_ratio", sp.Symbol("ell", positive=True), "the logarithm of a ratio of generations"
)
log_smallest = Argument(
    "log_smallest",
    sp.Symbol("lambda", positive=True),
    "minus the logarithm of the smallest number stored",
)
logit_range = Argument(
    "logit_range", sp.Symbol("R", positive=True), "the largest difference of logits"
)
mass = Argument("mass", sp.Symbol("pi", positive=True), "π in (0, 1], the mass of a nucleus")
mean = Argument(
    "mean", sp.Symbol("lambda", positive=True), "λ > 0, the mean of a Poisson distribution"
)
natural = Argument(
    "natural",
    sp.Symbol("nu", integer=True, nonnegative=True),
    "ν = 1 along the natural gradient, else 0",
    "integer",
)
noise_ratio = Argument("noise_ratio", sp.Symbol("kappa", positive=True), "noise over decay")
num_alive = Argument(
    "num_alive",
    sp.Symbol("m", integer=True, positive=True),
    "m ≥ 1, outcomes that are still alive",
    "integer",
)
num_first = Argument(
    "num_first",
    sp.Symbol("c_1", integer=True, positive=True),
    "c₁ ≥ 1, samples of the first outcome at the start",
    "integer",
)
num_right = Argument(
    "num_right", sp.Symbol("k", nonnegative=True), "k ≥ 0, right samples at the start", "integer"
)
num_runners_up = Argument(
    "num_runners_up",
    sp.Symbol("k_2", integer=True, positive=True),
    "k₂ ≥ 1, how many outcomes share the second largest logit",
    "integer",
)
num_second = Argument(
    "num_second",
    sp.Symbol("c_2", integer=True, positive=True),
    "c₂ ≥ 1, samples of the second outcome at the start",
    "integer",
)
num_steps = Argument("num_steps", m, "m ≥ 1, steps of a generation", "integer")
num_terms = Argument(
    "num_terms", sp.Symbol("N", integer=True, positive=True), "N ≥ 1, terms of a series", "integer"
)
num_top = Argument(
    "num_top",
    sp.Symbol("m", integer=True, positive=True),
    "m ≥ 1, how many of the most probable outcomes",
    "integer",
)
offset = Argument(
    "offset", sp.Symbol("delta", nonnegative=True), "δ ≥ 0, the offset between two contexts"
)
order = Argument(
    "order", sp.Symbol("j", integer=True, nonnegative=True), "the order of a term", "integer"
)
parameter = Argument("parameter", sp.Symbol("eta", real=True), "the natural parameter of a family")
probability = Argument(
    "probability",
    sp.Symbol("x_0", positive=True),
    "x₀ in [0, 1], the probability of an outcome at generation 0",
)
ratio = Argument(
    "ratio",
    sp.Symbol("r", positive=True),
    "r ≥ 0, how often a wrong answer passes, in times a right one",
)
real_probability = Argument(
    "real_probability",
    sp.Symbol("q_i", positive=True),
    "the probability of an outcome in the real data",
)
roundoff = Argument("roundoff", sp.Symbol("u", positive=True), "the relative error of one rounding")
scores = Argument(
    "scores",
    sp.IndexedBase("v", extended_real=True),
    "the log-odds with which samples of an outcome are kept; -inf: never",
    "vector",
)
share = Argument("share", sp.Symbol("x", positive=True), "x in [0, 1], a share of an outcome")
subset = Argument(
    "subset", sp.IndexedBase("a", real=True), "1 for the outcomes of a subset, else 0", "vector"
)
target = Argument(
    "target",
    sp.Symbol("r", integer=True, nonnegative=True),
    "which outcome is the target, counted from 0",
    "integer",
)
temperatures = Argument(
    "temperatures",
    sp.IndexedBase("T", positive=True),
    "T₁, T₂, …, the temperatures of several generations",
    "vector",
)
top_probability = Argument(
    "top_probability",
    sp.Symbol("C", positive=True),
    "the probability of the most probable outcome",
)
window = Argument(
    "window",
    sp.Symbol("w", integer=True, positive=True),
    "w ≥ 1, how many corpora are kept",
    "integer",
)
variance = Argument("variance", sp.Symbol("v", positive=True), "a variance of logits")


def table() -> list[Argument]:
    """Every argument, in the order of this module."""
    return [value for value in globals().values() if isinstance(value, Argument)]
