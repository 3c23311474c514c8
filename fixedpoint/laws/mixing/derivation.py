"""Mixing: refits to a mixture of real data and of very many own samples.

With a share a of real data one generation is p' = (1 − a) softmax(θ/T) + a q. Above T = 1 there is
one fixed point. Below it a share that is too small leaves several: the model may stay where it was
sharpened to, whatever the real data say.
"""

from collections.abc import Callable, Iterable
from typing import Any

import sympy as sp

from fixedpoint import symbolic
from fixedpoint.laws import notation
from fixedpoint.laws.equation import OUTCOME, Root, Step, at, claim, total
from fixedpoint.laws.notation import K, T, a, psi, z
from fixedpoint.symbolic import (
    Loop,
    Mixed,
    Temperature,
    as_limit,
    at_numbers,
    next_model,
    without_roots,
)

i = OUTCOME
j, k = sp.symbols("j k", integer=True, positive=True)
m: Any = notation.num_top.symbol
g: Any = notation.gap_real.symbol
x, C, e, w = sp.symbols("x C e w", positive=True)

MIXED = Loop(Temperature(T), Mixed(psi, a))
GIVEN = {"logits_real": psi}
RESTING = {"logits_real": psi, "fraction": a}

UNIFORM = "Uniform real data, T < 1."
AT_REST = f"{UNIFORM} a is the share at which the model rests (`mixing.fraction`)."
VOTERS = "derived here; for whole 1/T the transition of the multi-state noisy q-voter is known"
CITES = ("nowak2021", "marchi2024")

SIZES = ((2, 1), (3, 1), (3, 2), (5, 2))
"""Outcomes, and how many of them lead, for which the steps are made."""


def leading(size: int, top: int, gap: Any = z) -> list[Any]:
    """The weights e^θ of a model of two values: `top` outcomes lead all others by the gap."""
    return [sp.exp(gap)] * top + [sp.Integer(1)] * (size - top)


def after(weights: Any, fraction: Any, real: Any = None) -> list[Any]:
    """The next model, with real data that are uniform unless said otherwise."""
    real = real or [sp.Rational(1, len(weights))] * len(weights)
    return list(next_model(symbolic.given(MIXED, {psi: real, a: fraction}), weights))


def rests(weights: Any, fraction: Any, real: Any = None, **sizes: Any) -> Step:
    """A step that closes if a generation leaves the model where it is."""
    p = symbolic.normalised(weights)
    return Step(
        "a generation of the loop leaves the model where it is",
        [new - old for new, old in zip(after(weights, fraction, real), p, strict=True)],
        reduce=exponentials,
        sizes=sizes,
    )


def exponentials(expression: Any) -> Any:
    """Bring a residual to 0 that is rational in T and in exponentials of the gap and of gap/T."""

    def powers(exponent: Any) -> Any:
        return sp.Mul(*map(base, sp.Add.make_args(exponent)))

    names: dict[Any, Any] = {}

    def base(term: Any) -> Any:
        factor, rest = sp.expand(term).as_coeff_Mul()
        return names.setdefault(rest, sp.Dummy(positive=True)) ** factor

    plain = sp.expand_power_exp(expression.rewrite(sp.exp))
    plain = plain.replace(sp.exp, lambda exponent: powers(sp.expand(exponent)))
    return sp.expand(sp.numer(sp.together(plain)))


# --- Uniform real data: models of two values ------------------------------------------------------


def share_needed(gap: Any = z, top: Any = m, size: Any = K) -> Any:
    """K p_K (1 − e^{−(1/T − 1) z})/(1 − e^{−z/T}), p_K the probability of one that follows."""
    follower = 1 / (top * sp.exp(gap) + size - top)
    return size * follower * (1 - sp.exp(-(1 / T - 1) * gap)) / (1 - sp.exp(-gap / T))


OF_RESTING = (
    notation.gap(0.05, 12),
    notation.num_top(1, 2),
    notation.num_outcomes(3, 100),
    notation.temperature(0.1, 0.99),
)


@claim(
    "With uniform real data, a model of which m outcomes lead by z stays as it is at exactly this "
    "share of real data; below T = 1 no fixed point has more than two values.",
    share_needed(),
    lhs="a",
    of=OF_RESTING,
    loop=MIXED,
    given=GIVEN,
    assumes=f"{UNIFORM} 1 ≤ m < K.",
    source=VOTERS,
    cites=CITES,
    near_misses={
        "the share of own samples": 1 - share_needed(),
        "one leader": share_needed(top=1),
        "1/T for 1/T − 1": share_needed() * (1 - sp.exp(-z / T)) / (1 - sp.exp(-(1 / T - 1) * z)),
        "the threshold of two outcomes": 1 - T,
    },
    edges=[
        at(1e-9, 1, 2, 0.5),
        at(800.0, 1, 3, 0.5),
        at(2.0, 1, 50_000, 0.9),
        at(3.0, 49_999, 50_000, 0.999),
        at(30.0, 1, 7, 0.01),
    ],
)
def fraction(answer: Any) -> list[Step]:
    """One generation leaves the model of two values where it is; why there are no others."""
    steps = [
        rests(leading(size, top), answer.subs({K: size, m: top}), K=size, m=top)
        for size, top in SIZES
    ]
    slope = (1 - a) * x ** (1 / T) / C + a / K - x
    bend = (1 - a) * (1 - T) / T**2 * x ** (1 / T - 2) / C
    return [
        *steps,
        Step(
            "the probabilities of a fixed point are zeros of (1 − a) x^{1/T}/C + a/K − x, which "
            "is convex for T < 1: there are two at most",
            sp.diff(slope, x, 2) - bend,
        ),
    ]


def among() -> Any:
    """(1 − a) p_{T,1}/(T p₁), where the model rests."""
    return (1 - sp.exp(-z)) / (1 - sp.exp(-z / T)) / T


def between(top: Any = m) -> Any:
    """(1 − a) P_T (1 − P_T)/(T P (1 − P)), P the probability that all leading outcomes have."""
    odds = (K - top) / top
    sharper = (1 + odds * sp.exp(-z)) / (1 + odds * sp.exp(-z / T)) * sp.exp(-(1 / T - 1) * z)
    return among() * sharper


def stretched(
    answer: Any,
    change: Callable[[int, int], list[Any]],
    sizes: Iterable[tuple[int, int]],
) -> list[Step]:
    """A small change of a model that rests comes out of a generation times the answer."""
    steps = []
    step = sp.Symbol("epsilon", real=True)
    for size, top in sizes:
        here, moved, weights = {K: size, m: top}, change(size, top), leading(size, top)
        whole = sum(weights)
        changed = [old + step * whole * c for old, c in zip(weights, moved, strict=True)]
        following = after(changed, share_needed().subs(here))
        slopes = [sp.diff(new, step).subs(step, 0) for new in following]
        steps.append(
            Step(
                "a generation multiplies the change by the answer",
                [s - answer.subs(here) * c for s, c in zip(slopes, moved, strict=True)],
                reduce=exponentials,
                sizes={"K": size, "m": top},
            )
        )
    return steps


@claim(
    "Near a fixed point with uniform real data, what the leading outcomes have too much of is "
    "multiplied by this factor in a generation.",
    between(),
    lhs="v",
    of=OF_RESTING,
    loop=MIXED,
    given=RESTING,
    assumes=AT_REST,
    source=VOTERS,
    cites=CITES,
    near_misses={
        "without the real data": between() / (1 - share_needed()),
        "the factor at the uniform model": (1 - share_needed()) / T,
        "one leader": between(top=1),
        "its inverse": 1 / between(),
    },
    edges=[
        at(1e-9, 1, 2, 0.5),
        at(700.0, 1, 3, 0.5),
        at(2.0, 1, 50_000, 0.9),
    ],
)
def approach(answer: Any) -> list[Step]:
    """The derivative of one generation, along the change that keeps both values."""

    def from_the_others(size: int, top: int) -> list[Any]:
        return [sp.Rational(1, top)] * top + [-sp.Rational(1, size - top)] * (size - top)

    return stretched(answer, from_the_others, SIZES)


@claim(
    "Of two or more outcomes that lead together, two drift apart by this factor, which is above "
    "1: below T = 1 only the uniform model, or one with a single leader, can be stable.",
    among(),
    lhs="v",
    of=(notation.gap(0.05, 12), notation.temperature(0.1, 0.99)),
    loop=MIXED,
    given=RESTING,
    assumes=AT_REST,
    source=VOTERS,
    cites=CITES,
    near_misses={
        "without the real data": 1 / T,
        "of those that follow": among() * sp.exp(-(1 / T - 1) * z),
        "its inverse": 1 / among(),
    },
    edges=[
        at(1e-9, 0.5),
        at(800.0, 0.5, gives=2.0),
        at(2.0, 0.01),
        at(2.0, 0.999),
    ],
)
def stability(answer: Any) -> list[Step]:
    """The derivative of one generation, along a change among the leaders alone, and its size."""

    def from_the_second(size: int, top: int) -> list[Any]:
        return [sp.Integer(1), sp.Integer(-1), *[sp.Integer(0)] * (size - 2)]

    chance = 1 - sp.exp(-z * x)
    return [
        *stretched(answer, from_the_second, [pair for pair in SIZES if pair[1] > 1]),
        Step(
            "1 − e^{−zx} is 0 at x = 0 and concave, so that at x = 1/T it is less than 1/T times "
            "what it is at x = 1: the factor is above 1",
            [
                chance.subs(x, 0),
                sp.diff(chance, x, 2) + z**2 * (1 - chance),
                answer * chance.subs(x, 1 / T) * T - chance.subs(x, 1),
            ],
        ),
    ]


# --- Uniform real data: where the peaked models appear --------------------------------------------


def turning(gap: Any, top: Any = m, size: Any = K) -> Any:
    """What vanishes, times e^{z/T}, at the gap at which a peaked model takes most real data."""
    odds = (size - top) / top

    def rise(y: Any) -> Any:
        return sp.exp(y) - odds * sp.exp(-y) + odds - 1

    return sp.exp(-gap / T) * (rise(gap / T) - rise(gap) / T)


def spinodal_gap(top: Any = m, size: Any = K) -> Any:
    """The gap at which two fixed points meet."""
    odds = (size - top) / top
    low, high = sp.log(odds) / (1 + 1 / T), sp.log(odds)
    return Root(sp.Lambda(w, turning(w, top, size)), low, high)


def spinodal_share(top: Any = m, size: Any = K) -> Any:
    """The largest share of real data at which a peaked model rests."""
    return share_needed(spinodal_gap(top, size), top, size)


@claim(
    "With uniform real data a peaked model survives up to this share of real data, where it jumps "
    "to the uniform one; for three outcomes or more it lies above 1 − T.",
    spinodal_share(),
    lhs="a_{\\mathrm{sp}}",
    of=(
        notation.num_top(1, 1),
        notation.num_outcomes(3, 1000),
        notation.temperature(0.1, 0.95),
    ),
    loop=MIXED,
    given=RESTING,
    assumes=f"{UNIFORM} m < K/2. That there is one turning point: an exponential sum with these "
    "signs has three zeros at most, two of them at z = 0 (Descartes's rule).",
    source=VOTERS,
    cites=CITES,
    near_misses={
        "the threshold of two outcomes": 1 - T,
        "one outcome more": spinodal_share(size=K + 1),
        "the share of own samples": 1 - spinodal_share(),
        "at half the gap": share_needed(spinodal_gap() / 2),
    },
    edges=[
        at(1, 2, 0.5, gives=0.5),
        at(1, 50_000, 0.5),
        at(1, 50_000, 0.95),
        at(2, 5, 0.05),
        at(3, 7, 0.99),
    ],
)
def spinodal(answer: Any) -> list[Step]:
    """A fixed point at every share; at this one its share has a turning point."""
    (share,), equations = without_roots([answer])
    ((gap, vanishing),) = equations.items()
    slope = sp.diff(share, gap)
    steps = []
    for size, top in ((3, 1), (5, 1), (5, 2)):
        here = {K: size, m: top}
        steps.append(rests(leading(size, top, gap), share.subs(here), K=size, m=top))
    # The condition is linear in the number of outcomes.
    (size,) = sp.solve(vanishing, K)
    steps.append(
        Step("where it vanishes the share is stationary", slope.subs(K, size), reduce=exponentials)
    )
    return steps


def binary_entropy() -> Any:
    """h(T) = −T log T − (1 − T) log(1 − T)."""
    return -T * sp.log(T) - (1 - T) * sp.log(1 - T)


def own_share(entropy: Any) -> Any:
    """e^h K^{−(1 − T)}."""
    return sp.exp(entropy) * K ** (-(1 - T))


@claim(
    "Among very many outcomes a peaked model survives as long as the share of own samples is at "
    "least the exponential of the binary entropy of T, over K to the power 1 − T.",
    own_share(binary_entropy()),
    lhs="1-a_{\\mathrm{sp}}",
    kind="asymptotic",
    of=(notation.num_outcomes(1000, 10**6), notation.temperature(0.1, 0.9)),
    loop=MIXED,
    given=RESTING,
    assumes=f"{UNIFORM} K → ∞, m = 1; the proof takes T = 1/2, 1/3, 2/3.",
    source="derived here",
    cites=CITES,
    near_misses={
        "without the entropy": own_share(0),
        "the power T": sp.exp(binary_entropy()) * K ** (-T),
        "half the entropy": own_share(binary_entropy() / 2),
    },
    edges=[at(1e12, 0.5), at(50_000, 0.99), at(50_000, 0.01)],
)
def spinodal_asymptotic(answer: Any) -> list[Step]:
    """Along the turning points, of which the number of outcomes is an explicit function."""
    (sizes,) = sp.solve(turning(w, 1), K)
    steps = []
    for temperature, power in ((sp.S.Half, 1), (sp.Rational(1, 3), 1), (sp.Rational(2, 3), 2)):
        ratio = sp.Symbol("u", positive=True)
        along = {T: temperature, w: power * sp.log(ratio)}
        outcomes = sp.simplify(sizes.subs(along))
        own = (1 - share_needed(w, 1)).subs(K, sizes).subs(along)
        claimed = answer.subs(T, temperature).subs(K, outcomes)
        what = f", at T = {temperature}"
        steps += as_limit(sp.simplify(own), claimed, ratio, sp.oo, what=what)
    return steps


def potential(gap: Any, fraction: Any, size: Any = K) -> Any:
    """Φ of a model with one leader, less that of the uniform one; see `fixedpoint.potential`."""
    tempered, own = (sp.log((sp.exp(y) + size - 1) / size) for y in (gap / T, gap))
    return (1 - fraction) * T * tempered + fraction * gap / size - own


def maxwell_share(difference: Callable[..., Any] = potential) -> Any:
    """The share at which the peaked and the uniform model have the same potential."""
    level = sp.Lambda(w, difference(w, share_needed(w, 1)))
    low, high = sp.log(K - 1) / (1 + 1 / T), sp.log(K - 1)
    return share_needed(Root(level, low, high), 1)


@claim(
    "At this share of uniform real data the peaked and the uniform model have the same potential, "
    "which every generation raises.",
    maxwell_share(),
    lhs="a_{\\mathrm M}",
    of=(notation.num_outcomes(3, 1000), notation.temperature(0.1, 0.9)),
    loop=MIXED,
    given=RESTING,
    assumes=f"{UNIFORM} K ≥ 3, one leader. The share says which of the two a model with isotropic "
    "noise prefers; without noise both stay.",
    source="derived here",
    cites=CITES,
    accuracy=1e-11,
    near_misses={
        "the spinodal": spinodal_share(top=1),
        "without the pull of the data": maxwell_share(
            lambda gap, fraction: potential(gap, fraction) - fraction * gap / K / 2
        ),
        "the threshold of two outcomes": 1 - T,
    },
    edges=[at(50_000, 0.5), at(3, 0.95), at(1000, 0.02)],
)
def maxwell(answer: Any) -> list[Step]:
    """A peaked model that rests; the potential, whose slope is what a generation changes."""
    (share,), equations = without_roots([answer])
    ((gap, vanishing),) = equations.items()
    steps = []
    for size in (3, 5):
        here = {K: size}
        steps.append(rests(leading(size, 1, gap), share.subs(here), K=size))
        weights = leading(size, 1)
        change = after(weights, a)[0] - symbolic.normalised(weights)[0]
        steps.append(
            Step(
                "the slope of the potential along the gap is what a generation adds to the leader",
                sp.diff(potential(z, a, size), z) - change,
                reduce=exponentials,
                sizes={"K": size},
            )
        )
    steps.append(
        Step(
            "where the equation holds the two potentials are equal",
            vanishing - potential(gap, share),
        )
    )
    return steps


def half_difference() -> Any:
    """√(1 − 2a)."""
    return sp.sqrt(1 - 2 * a)


@claim(
    "Of two outcomes sharpened at T = 1/2 beside uniform real data, the difference of their "
    "probabilities rests at ±√(1 − 2a): it vanishes as a square root at a = 1 − T.",
    half_difference(),
    lhs="{p_1-p_2}",
    of=(notation.fraction(0.01, 0.49),),
    loop=symbolic.given(MIXED, {T: sp.S.Half}),
    given=GIVEN,
    assumes="Two outcomes, uniform real data, T = 1/2, a ≤ 1/2.",
    source="derived here; the two-state noisy voter is known",
    cites=CITES,
    near_misses={
        "linear": 1 - 2 * a,
        "the threshold of all of the data": sp.sqrt(1 - a),
        "the cubic term alone": sp.sqrt(2 * (1 - 2 * a)),
    },
    edges=[at(0.5, gives=0.0), at(0.0, gives=1.0), at(0.5 - 2.0**-40)],
)
def pitchfork(answer: Any) -> list[Step]:
    """The model rests; the uniform one turns unstable where it branches off."""
    half = sp.S.Half
    p = [(1 + answer) / 2, (1 - answer) / 2]
    real = [half, half]
    loop = symbolic.given(MIXED, {psi: real, T: half})
    step = sp.Symbol("epsilon", real=True)
    grown = sp.diff(next_model(loop, [half + step, half - step])[0], step).subs(step, 0)
    (branch,) = sp.solve(answer, a)
    return [
        Step(
            "a generation of the loop leaves the model where it is",
            [new - old for new, old in zip(next_model(loop, p), p, strict=True)],
            sizes={"K": 2, "T": half},
        ),
        Step(
            "it branches off where a generation multiplies small differences by 1",
            grown.subs(a, branch) - 1,
            sizes={"K": 2, "T": half},
        ),
    ]


# --- Any real data --------------------------------------------------------------------------------


def fold_own(y: Any) -> Any:
    """The share of own samples T cosh²(y/T)/cosh² y at which two fixed points meet."""
    return T * (sp.cosh(y / T) / sp.cosh(y)) ** 2


def fold_share(real: Any = g, own: Callable[[Any], Any] = fold_own) -> Any:
    """The share of real data at which a model of the wrong side is let go."""
    lean = sp.tanh(w) - own(w) * sp.tanh(w / T) + (1 - own(w)) * sp.tanh(real / 2)
    high = T * sp.log(4 / T) / (2 * (1 - T))
    return 1 - own(Root(sp.Lambda(w, lean), sp.Integer(0), high))


@claim(
    "A model of two outcomes that leans against the real data is let go when their share exceeds "
    "this one, which is 1 − T for uniform data and falls the more they lean.",
    fold_share(),
    lhs="a_{\\mathrm{cusp}}",
    of=(notation.gap_real(0.05, 12), notation.temperature(0.1, 0.95)),
    loop=MIXED,
    given=RESTING,
    assumes="Two outcomes, T < 1; the model has its mode where the real data have not.",
    source="derived here; existence of thresholds is known",
    cites=CITES,
    near_misses={
        "uniform real data": 1 - T,
        "the real data's logit for half of it": fold_share(2 * g),
        "own samples in place of real": 1 - fold_share(),
        "one power of the hyperbolic cosine": fold_share(
            own=lambda y: T * sp.cosh(y / T) / sp.cosh(y)
        ),
    },
    edges=[
        at(0.0, 0.5, gives=0.5),
        at(800.0, 0.5, gives=3 - 2 * 2**0.5),
        at(1e-3, 0.5),
        at(1.0, 0.02),
        at(1.0, 0.99),
    ],
)
def cusp(answer: Any) -> list[Step]:
    """A fixed point with these real data, at which the slope of a generation is 1."""
    (share,), equations = without_roots([answer])
    ((lead, vanishing),) = equations.items()
    # The equation is linear in tanh(g/2), the real data's lean.
    lean = sp.Symbol("h", real=True)
    (found,) = sp.solve(vanishing.subs(sp.tanh(g / 2), lean), lean)
    real = [(1 - found) / 2, (1 + found) / 2]
    ahead, fixed = leading(2, 1, 2 * lead), sp.Symbol("h_0", real=True)
    apart = after(ahead, a, [(1 - fixed) / 2, 1])[0] - symbolic.normalised(ahead)[0]
    return [
        rests(ahead, share, real, K=2),
        Step(
            "there the slope of a generation is 1: two fixed points meet",
            sp.diff(apart, lead).subs(a, share),
            reduce=exponentials,
            sizes={"K": 2},
        ),
    ]


def guaranteed(size: Any = K) -> Any:
    """1 − e^{1/T − 1}, e the ratio of the others to two tied leaders."""
    level = 2 + (size - 2) * e ** (1 / T) - e ** (1 / T - 1) / T * (2 + (size - 2) * e)
    return 1 - Root(sp.Lambda(e, level), sp.Integer(0), sp.Integer(1)) ** (1 / T - 1)


@claim(
    "With at least this share of real data, whatever they are, there is one fixed point.",
    guaranteed(),
    lhs="a^*_K",
    kind="conjecture",
    of=(notation.num_outcomes(2, 1000), notation.temperature(0.1, 0.95)),
    loop=MIXED,
    given=RESTING,
    assumes="T < 1. That a smaller share does not do is proved: at two tied leaders that are "
    "1/e times as probable as all others the factor of a generation is above 1 for some real data. "
    "That no other model is worse is a numerical search.",
    source="derived here; sufficient bounds are known",
    cites=CITES,
    near_misses={
        "the threshold of two outcomes": 1 - T,
        "one outcome more": guaranteed(K + 1),
        "one leader: the spinodal": spinodal_share(top=1),
    },
    edges=[at(2, 0.5, gives=0.5), at(50_000, 0.5), at(50_000, 0.95), at(3, 0.99)],
)
def guarantee() -> list[Step]:
    """The largest eigenvalue of tempered against own Fisher matrices, over all models."""
    return []


@claim(
    "After any generation with a share a of real data, the real data's divergence from the model "
    "is at most log(1/a), whatever the temperature.",
    -sp.log(a),
    lhs=r"{D(q\,\|\,p_t)}",
    relation="<=",
    of=(notation.fraction(0.001, 1),),
    loop=MIXED,
    given={"logits_real": psi, "temperature": T},
    assumes="t ≥ 1; a > 0.",
    source="derived here",
    near_misses={
        "the share itself for its logarithm": 1 - a,
        "half of it": -sp.log(a) / 2,
    },
    edges=[at(1.0, gives=0.0), at(1e-300)],
)
def kl_bound(answer: Any) -> list[Step]:
    """Every outcome keeps its share; one that has lost all that is real attains it."""
    p, q = symbolic.shares(3), symbolic.shares(3, "q")
    loop = symbolic.given(MIXED, {psi: q})
    drawn = loop.drawn(p)
    lost = [sp.Integer(1), sp.Integer(0)]
    ends = next_model(symbolic.given(MIXED, {psi: lost[::-1], T: 1}), lost)
    return [
        Step(
            "p′ less e^{−answer} q is what is drawn, times 1 − a: nowhere negative",
            [
                new - sp.exp(-answer) * real - (1 - a) * own
                for new, real, own in zip(next_model(loop, p), q, drawn, strict=True)
            ],
            sizes={"K": 3},
        ),
        Step(
            "a model without the one real outcome reaches it",
            sp.log(1 / ends[1]) - answer,
            sizes={"K": 2},
        ),
    ]


def real_probability(place: Any) -> Any:
    """The real probability q of an outcome."""
    return sp.exp(psi[place]) / total(sp.exp(psi[k]), k)


def resting(place: Any, scale: Any, power: Any) -> Any:
    """The one positive x with x = (1 − a) x^power/C + a q."""
    level = x - (1 - a) * x**power / scale - a * real_probability(place)
    return Root(sp.Lambda(x, level), a * real_probability(place), sp.Integer(1))


def resting_probability(power: Any = 1 / T) -> Any:
    """The x of an outcome, where C makes their sum 1."""
    whole = 1 - total(resting(j, C, power), j)
    scale = Root(sp.Lambda(C, whole), sp.Integer(1), K ** (1 - power))
    return resting(i, scale, power)


@claim(
    "Above T = 1 there is one fixed point, whatever the real data and their share: each "
    "probability is the one positive zero of the same concave function, at the C that makes their "
    "sum 1.",
    resting_probability(),
    lhs="p_i",
    of=(notation.logits_real(-3, 3), notation.fraction(0.01, 1), notation.temperature(1.05, 8)),
    loop=MIXED,
    observe="probabilities",
    assumes="T > 1, a > 0.",
    source="derived here; existence of a fixed point is known",
    cites=("marchi2024",),
    near_misses={
        "the real data": real_probability(i),
        "twice the temperature": resting_probability(1 / (2 * T)),
        "the share of own samples": resting_probability().subs(a, 1 - a),
    },
    edges=[
        at([1.0], 0.3, 2.0, gives=[1.0]),
        at([0.5, -40.0], 0.01, 1.01),
        at([2.0, -1.0], 1.0, 3.0),
    ],
)
def hot(answer: Any) -> list[Step]:
    """Where the loop itself comes to rest; why it rests nowhere else."""
    points: list[tuple[dict[Any, Any], list[Any]]] = []
    for logits, share, heat in (
        ([sp.S.Half, -1], "1/3", 2),
        ([1, 0, -1], "1/2", "3/2"),
        ([2, 0, 0], "4/5", 3),
    ):
        numbers = {psi: logits, a: sp.Rational(share), T: sp.Rational(heat)}
        real = symbolic.softmax([sp.Float(value, 80) for value in logits])
        points.append((numbers, at_last(symbolic.given(MIXED, {**numbers, psi: real}))))
    zero = (1 - a) * x ** (1 / T) / C + a - x
    bend = -(1 - a) * (T - 1) / T**2 * x ** (1 / T - 2) / C
    return [
        at_numbers(answer, points, "it is where the loop comes to rest", K=(2, 3)),
        Step(
            "each probability is a zero of a function that is positive at 0 and concave for T > 1: "
            "there is one, and it falls as C grows",
            [sp.diff(zero, x, 2) - bend, sp.diff(zero, C) + (1 - a) * x ** (1 / T) / C**2],
        ),
    ]


def at_last(loop: Loop) -> list[Any]:
    """Where a loop whose generations bring models together comes to rest, to 70 digits."""
    model = symbolic.normalised([sp.Float(1, 80)] * len(loop.corpus.real))
    for _ in range(1000):
        following = [value.evalf(80) for value in next_model(loop, model)]
        moved = max(abs(new - old) for new, old in zip(following, model, strict=True))
        model = following
        if moved < sp.Float(10) ** -72:
            break
    return model
