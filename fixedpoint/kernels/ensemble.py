r"""Gradient flow of an ensemble of models: many starts side by side, with one time step for all.

    dθ/dt = softmax(α/T) − softmax(θ),    α = θ (online) or α = θ(0) (frozen)

has a Jacobian of norm at most (1 + 1/T)/2: it is never stiff, and an explicit method of high order
with steps fixed beforehand is as good as any. The same steps for a whole tile need no decision in
the loop. It is the eighth-order method of Prince & Dormand, whose embedded seventh order gives
every start an estimate of its error; `fixedpoint.loop.flow` chooses the steps by it.

What is integrated are the weights w = e^θ and, online, b = e^{α/T} as well:

    dw/dt = w v,  db/dt = b v / T,    v = b/Σb − w/Σw

in which no stage of a step needs an exponential. Errors of w are relative, those of θ absolute.

References:
    Prince & Dormand (1981), High order embedded Runge-Kutta formulae, J. Comput. Appl. Math. 7, 67:
    RK8(7)13M, table 2.
"""

from functools import reduce
from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from fixedpoint.kernels import driver

__all__ = ["integrate"]

# Stage i is taken at y + h Σⱼ aᵢⱼ kⱼ.
A = (
    (1 / 18,),
    (1 / 48, 1 / 16),
    (1 / 32, 0, 3 / 32),
    (5 / 16, 0, -75 / 64, 75 / 64),
    (3 / 80, 0, 0, 3 / 16, 3 / 20),
    (
        *(29443841 / 614563906, 0, 0, 77736538 / 692538347),
        *(-28693883 / 1125000000, 23124283 / 1800000000),
    ),
    (
        *(16016141 / 946692911, 0, 0, 61564180 / 158732637, 22789713 / 633445777),
        *(545815736 / 2771057229, -180193667 / 1043307555),
    ),
    (
        *(39632708 / 573591083, 0, 0, -433636366 / 683701615, -421739975 / 2616292301),
        *(100302831 / 723423059, 790204164 / 839813087, 800635310 / 3783071287),
    ),
    (
        *(246121993 / 1340847787, 0, 0, -37695042795 / 15268766246, -309121744 / 1061227803),
        *(-12992083 / 490766935, 6005943493 / 2108947869, 393006217 / 1396673457),
        123872331 / 1001029789,
    ),
    (
        *(-1028468189 / 846180014, 0, 0, 8478235783 / 508512852, 1311729495 / 1432422823),
        *(-10304129995 / 1701304382, -48777925059 / 3047939560, 15336726248 / 1032824649),
        *(-45442868181 / 3398467696, 3065993473 / 597172653),
    ),
    (
        *(185892177 / 718116043, 0, 0, -3185094517 / 667107341, -477755414 / 1098053517),
        *(-703635378 / 230739211, 5731566787 / 1027545527, 5232866602 / 850066563),
        *(-4093664535 / 808688257, 3962137247 / 1805957418, 65686358 / 487910083),
    ),
    (
        *(403863854 / 491063109, 0, 0, -5068492393 / 434740067, -411421997 / 543043805),
        *(652783627 / 914296604, 11173962825 / 925320556, -13158990841 / 6184727034),
        *(3936647629 / 1978049680, -160528059 / 685178525, 248638103 / 1413531060, 0),
    ),
)
# The step is y + h Σⱼ bⱼ kⱼ, in the eighth and in the seventh order.
B = (
    *(14005451 / 335480064, 0, 0, 0, 0, -59238493 / 1068277825, 181606767 / 758867731),
    *(561292985 / 797845732, -1041891430 / 1371343529, 760417239 / 1151165299),
    *(118820643 / 751138087, -528747749 / 2220607170, 1 / 4),
)
B_SEVENTH = (
    *(13451932 / 455176623, 0, 0, 0, 0, -808719846 / 976000145, 1757004468 / 5645159321),
    *(656045339 / 265891186, -3867574721 / 1518517206, 465885868 / 322736535),
    *(53011238 / 667516719, 2 / 45, 0),
)
_DIFFERENCES = tuple(b - c for b, c in zip(B, B_SEVENTH, strict=True))
LOST = -1e30  # in place of -inf: a weight of exactly 0, and nothing times infinity
_LEAST = -400.0  # so far below the top, a logit has no weight that a sum would notice
_PIECE = 16  # steps between two looks at the logits: the weights stay within the doubles' range


def integrate(
    frozen: bool,
    logits: Float[Array, "tile num_outcomes"],
    temperature: Float[Array, ""],
    first_steps: Float[Array, " S"],
    growths: Float[Array, " S"],
    num_steps: Int[Array, " S"],
    tolerances: Float[Array, " 2"],
) -> tuple[Array, Array]:
    """The kernel: a tile of starts to the end of each of several stretches of time.

    Args:
        frozen: whether the start stays the teacher.
        logits: the starts; -inf for a lost outcome.
        temperature: T, at which the teacher is sampled.
        first_steps: the first step of each stretch.
        growths: the factor from one of its steps to the next.
        num_steps: in how many steps each is taken; none longer than 8 min(1, T).
        tolerances: absolute and relative, the units of the error.

    Returns:
        The logits at the ends, shape (S, tile, num_outcomes), and the sum over all steps of the
        estimated errors in units of the tolerance, shape (1, tile).
    """
    start = jnp.where(logits == -jnp.inf, LOST, logits).T  # (num_outcomes, tile)
    top = start.max(0, keepdims=True)  # a shift changes no probability and is never changed
    start = jnp.where(start == LOST, LOST, start - top)
    inverse = 1 / temperature
    teacher = _shares(_weights(start * inverse))
    # Online the teacher's weights go along, (2, num_outcomes, tile).
    factors = jnp.stack([jnp.ones(()), inverse])[:, None, None]

    def slope(weights: Array) -> Array:
        shares = _shares(weights)
        if frozen:
            return weights * (teacher - shares)
        return weights * ((shares[1] - shares[0])[None] * factors)

    def of_model(weights: Array) -> Array:
        return weights if frozen else weights[0]

    def piece(number: Array, growth: Array, state: tuple[Array, ...]) -> tuple[Array, ...]:
        theta, error, h = state
        begun = _weights(theta if frozen else theta[None] * factors)
        unit = tolerances[0] + tolerances[1] * jnp.abs(theta)

        def advance(_: Any, carry: Any) -> Any:
            weights, error, h = carry
            k = [driver.apart(slope)(weights)]
            for row in A:
                k.append(driver.apart(slope)(weights + h * _combined(row, k)))
            wrong = h * of_model(_combined(_DIFFERENCES, k))
            error = error + jnp.abs(wrong) / (of_model(weights) * unit)
            return weights + h * _combined(B, k), error, h * growth

        steps = driver.one_function(lambda *carry: lax.fori_loop(0, number, advance, carry))
        weights, error, h = steps(begun, error, h)
        return theta + jnp.log(of_model(weights) / of_model(begun)), error, h

    def stretch(state: tuple[Array, Array], over: tuple[Array, ...]) -> Any:
        first, growth, number = over

        def next_piece(i: Array, carry: Any) -> Any:
            return piece(jnp.minimum(_PIECE, number - i * _PIECE), growth, carry)

        pieces = (number + _PIECE - 1) // _PIECE
        theta, error, _ = lax.fori_loop(0, pieces, next_piece, (*state, first))
        return (theta, error), theta

    initial = (start, jnp.zeros_like(start))
    (_, error), ends = lax.scan(stretch, initial, (first_steps, growths, num_steps))
    ends = jnp.where((start == LOST)[None], -jnp.inf, ends + top[None])
    return ends.swapaxes(1, 2), error.max(0)[None]


def _weights(logits: Array) -> Array:
    return jnp.exp(jnp.maximum(logits, _LEAST))


def _shares(weights: Array) -> Array:
    return weights * (1 / weights.sum(-2, keepdims=True))


def _combined(coefficients: Any, k: Any) -> Array:
    terms = [c * stage for c, stage in zip(coefficients, k, strict=True) if c]
    return reduce(jnp.add, terms)
