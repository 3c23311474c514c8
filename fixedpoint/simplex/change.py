"""The three parts of a change: lost modes, temperature, and the rest."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fixedpoint import checks
from fixedpoint.simplex.distribution import log_probabilities, probabilities
from fixedpoint.simplex.divergences import kl_divergence, log_of_loss
from fixedpoint.simplex.sums import Logits, OtherLogits, pair, relative, total


class Decomposition(NamedTuple):
    """The three parts of a change p₀ → p, and the temperature that undoes the second.

    Attributes:
        lost_modes: -log p₀(S), S the outcomes that p still has: undone by nothing. In nats.
        temperature: KL(p_b||p₀ given S): a change of temperature. In nats.
        rest: KL(p||p_b): what is neither. In nats.
        inverse_temperature: b, such that p_b = softmax(b θ₀) on S.
        recovery_temperature: The temperature b at which sampling p_b gives p₀ given S; NaN if
            b <= 0, which no temperature undoes.
    """

    lost_modes: Float[Array, "*batch"]
    temperature: Float[Array, "*batch"]
    rest: Float[Array, "*batch"]
    inverse_temperature: Float[Array, "*batch"]
    recovery_temperature: Float[Array, "*batch"]


@checks.arguments()
def decomposition(logits: Logits, logits_initial: OtherLogits) -> Decomposition:
    """Split the change p₀ → p into lost modes, temperature and the rest.

    KL(p||p₀) = -log p₀(S) + KL(p_b||p₀ given S) + KL(p||p_b), where S = {p > 0}, p_b is
    softmax(b θ₀) on S, and b solves E_{p_b}[θ₀] = E_p[θ₀]: p_b is the member of the exponential
    family of θ₀ that is nearest to p, and the last two terms are Pythagoras' theorem for it. If p
    is p₀ at temperature T then b = 1/T and the rest is 0.

    Args:
        logits: Logits of the changed model p; -inf marks a lost outcome.
        logits_initial: OtherLogits θ₀ of the initial model; batches broadcast.

    Validity:
        Exact; the parts add up to `kl_divergence` within 1e-12 relative in float64, or within
        1e-13 |b| where log p₀ is so nearly constant on S that |b| is huge. b can be
        negative: p prefers what p₀ avoids. If log p₀ is constant on S any b will do: b = 1 and the
        second part is 0. If p has an outcome that p₀ has not, the divergence is infinite: the last
        two parts are then +inf and b is NaN. First derivatives are exact. Logits may be as low as
        the dtype's lowest number, the mask of many language models; b is then solved for as if they
        were not below 1e231 (float32: 1e29), which matters only if |b| is below the inverse of it.

    Example:
        >>> initial = jnp.log(jnp.array([0.5, 0.3, 0.15, 0.05]))
        >>> from fixedpoint.simplex import temper
        >>> parts = decomposition(temper(initial, 0.8).at[3].set(-jnp.inf), initial)
        >>> print(f"{parts.lost_modes:.6f} {parts.rest:.6f} {parts.recovery_temperature:.6f}")
        0.051293 0.000000 1.250000
    """
    return _decompose(*pair(logits, logits_initial))


@jax.jit
def _decompose(theta: Array, initial: Array) -> Decomposition:
    """Decomposition of logits of one shape: compiled, because a bare while loop always is anew."""
    kept = theta > -jnp.inf
    possible = ~jnp.any(kept & (initial == -jnp.inf), -1, keepdims=True)
    lost = log_of_loss(log_probabilities(initial), kept)
    # Where p has what p₀ has not, compute with p itself in the place of p₀, and overwrite below.
    within = jnp.where(kept, jnp.where(possible, initial, theta), -jnp.inf)
    b = _inverse_temperature(theta, within)
    # A logit that overflows is the lowest number, not lost: log p and log q are compared below.
    x, _, _ = relative(within)
    largest = jnp.finfo(x.dtype).max
    tilted = jnp.where(kept, jnp.clip(b * jnp.where(kept, x, 0), -largest, largest), -jnp.inf)
    impossible = jnp.where(possible, 0, jnp.asarray(jnp.inf, theta.dtype))[..., 0]
    b = jnp.where(possible, b, jnp.nan)[..., 0]
    return Decomposition(
        lost_modes=lost[..., 0],
        temperature=kl_divergence(tilted, within) + impossible,
        rest=kl_divergence(theta, tilted) + impossible,
        inverse_temperature=b,
        recovery_temperature=jnp.where(b > 0, b, jnp.nan),
    )


def _log_odds(log_p: Array, x: Array, width: Array) -> tuple[Array, Array]:
    """Log-odds of the mean of 1 + y, y = x/width in [-1, 0], and their derivative along p e^{by}.

    In the log-odds of its mean an exponential family is nearly linear: the derivative, Var/(u v)
    with the means u of -y and v of 1 + y, is at most 1 and tends to the outermost gaps of y. The
    log-odds leave out log(width), a constant that may be far larger than they.
    """
    y = jnp.maximum(x / width, -1)  # compiled, a quotient may round beyond -1
    log_gap = jax.nn.logsumexp(log_p + jnp.log(-x), -1, keepdims=True)
    log_u = log_gap - jnp.log(width)
    log_v = jax.nn.logsumexp(log_p + jnp.log(1 + y), -1, keepdims=True)
    deviation = jnp.where(log_u < log_v, y + jnp.exp(log_u), (1 + y) - jnp.exp(log_v))
    terms = jnp.exp(log_p + 2 * jnp.log(jnp.abs(deviation)) - jnp.minimum(log_u, log_v))
    return log_v - log_gap, total(terms) / jnp.exp(jnp.maximum(log_u, log_v))


def _inverse_temperature(logits: Array, logits_initial: Array) -> Array:
    """Solve E[θ₀] under softmax(b θ₀) = E[θ₀] under p for b; the axis kept.

    Newton's method on the log-odds, kept in a bracket; the derivatives are those of the implicit
    function. Both arguments have lost the same outcomes.
    """
    x, _, _ = relative(logits_initial)
    alive = x > -jnp.inf
    # Far below, an outcome has no weight, but would take the digits of all others with it.
    floor = -(float(jnp.finfo(x.dtype).max) ** 0.75)
    x = jnp.where(alive, jnp.maximum(x, floor), 0)
    logits = jnp.where(alive, jnp.maximum(relative(logits)[0], floor), -jnp.inf)
    width = jax.lax.stop_gradient(-jnp.min(x, -1, keepdims=True))
    flat = width == 0
    width = jnp.where(flat, 1, width)
    log_p, gaps = jax.lax.stop_gradient((log_probabilities(logits), x))
    levels = jnp.maximum(gaps / width, -1)
    goal, _ = _log_odds(log_p, gaps, width)

    def log_probabilities_at(b: Array, x: Array) -> Array:
        return log_probabilities(jnp.where(alive, b * x, -jnp.inf))

    def unsolved(state: tuple[Any, ...]) -> Array:
        *_, step, count = state
        return jnp.any(step != 0) & (count < 1000)

    def improve(state: tuple[Any, ...]) -> tuple[Any, ...]:
        b, low, high, last, count = state
        odds, slope = _log_odds(log_probabilities_at(b, levels), gaps, width)
        low, high = jnp.where(odds <= goal, b, low), jnp.where(odds >= goal, b, high)
        reach = 8 * (1 + jnp.abs(b))
        newton = jnp.clip((goal - odds) / jnp.where(slope > 0, slope, 1), -reach, reach)
        bracketed = jnp.isfinite(high - low)
        middle = jnp.where(bracketed, low, 0) / 2 + jnp.where(bracketed, high, 0) / 2
        slow = jnp.abs(newton) > jnp.abs(last) / 2
        outside = (b + newton < low) | (b + newton > high)
        done = jnp.abs(newton) <= 4 * jnp.finfo(b.dtype).eps * (1 + jnp.abs(b))
        step = jnp.where(bracketed & (slow | outside) & ~done, middle - b, newton)
        step = jnp.where((last == 0) | flat, 0, step)
        return b + step, low, high, jnp.where(done, 0, step), count + 1

    infinite = jnp.full_like(width, jnp.inf)
    b = jax.lax.while_loop(unsolved, improve, (width, -infinite, infinite, infinite, 0))[0] / width
    p, p_b = probabilities(logits), jnp.exp(log_probabilities_at(b, x))
    mean = jax.lax.stop_gradient(total(p_b * x))
    variance = jax.lax.stop_gradient(total((jnp.sqrt(p_b) * (x - mean)) ** 2))
    change = (total(p * x) - total(p_b * x)) / jnp.where(variance > 0, variance, 1)
    return jnp.where(flat, 1, b + change - jax.lax.stop_gradient(change))
