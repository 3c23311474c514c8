"""A distribution over finitely many outcomes, given by its logits.

Everything here takes logits θ of shape ``(..., num_outcomes)``: the model p = softmax(θ) is its
logits, and log-probabilities are logits too. The last axis runs over the outcomes, leading axes are
a batch; two batches broadcast. ``-inf`` marks an outcome that is lost for ever: it has probability
0, counts nowhere, and gradients through it are finite. Results have the dtype of the logits
(integers become the default float). Entropies and divergences are in nats. All is exact up to
rounding: unless it says otherwise the relative error is below 1e-12 in float64, however close p is
to a vertex (`tests/test_simplex.py`).

Nothing that can be computed as a sum of terms of one sign is computed as a difference. Logits are
taken relative to the first mode, x = θ - θ_mode <= 0, so that the probability of everything else,
however small, keeps its relative accuracy: with the excess s = Σ_{i≠mode} e^{x_i},

    lse(θ) = θ_mode + log1p(s),    1 - p_mode = s / (1 + s),    S(p) = log1p(s) - Σ p_i x_i.
"""

from fixedpoint.simplex.change import Decomposition as Decomposition
from fixedpoint.simplex.change import decomposition as decomposition
from fixedpoint.simplex.distribution import centre as centre
from fixedpoint.simplex.distribution import effective_number as effective_number
from fixedpoint.simplex.distribution import entropy as entropy
from fixedpoint.simplex.distribution import fisher_matrix as fisher_matrix
from fixedpoint.simplex.distribution import heterozygosity as heterozygosity
from fixedpoint.simplex.distribution import log_probabilities as log_probabilities
from fixedpoint.simplex.distribution import logits as logits
from fixedpoint.simplex.distribution import mass_rounding as mass_rounding
from fixedpoint.simplex.distribution import mode as mode
from fixedpoint.simplex.distribution import mode_probability as mode_probability
from fixedpoint.simplex.distribution import modes as modes
from fixedpoint.simplex.distribution import num_surviving as num_surviving
from fixedpoint.simplex.distribution import probabilities as probabilities
from fixedpoint.simplex.distribution import renyi_entropy as renyi_entropy
from fixedpoint.simplex.distribution import rounding as rounding
from fixedpoint.simplex.distribution import tail_probability as tail_probability
from fixedpoint.simplex.distribution import temper as temper
from fixedpoint.simplex.divergences import difference as difference
from fixedpoint.simplex.divergences import kl_divergence as kl_divergence
from fixedpoint.simplex.divergences import log_ratio as log_ratio
from fixedpoint.simplex.divergences import majorises as majorises
from fixedpoint.simplex.divergences import renyi_divergence as renyi_divergence
from fixedpoint.simplex.sums import Logits as Logits
from fixedpoint.simplex.sums import OtherLogits as OtherLogits
from fixedpoint.simplex.sums import PerDistribution as PerDistribution
from fixedpoint.simplex.sums import below as below
from fixedpoint.simplex.sums import per_distribution as per_distribution
from fixedpoint.simplex.sums import scalars as scalars
from fixedpoint.simplex.sums import total as total

__all__ = [
    "Decomposition",
    "below",
    "centre",
    "decomposition",
    "difference",
    "effective_number",
    "entropy",
    "fisher_matrix",
    "heterozygosity",
    "kl_divergence",
    "log_probabilities",
    "log_ratio",
    "logits",
    "majorises",
    "mass_rounding",
    "mode",
    "mode_probability",
    "modes",
    "num_surviving",
    "per_distribution",
    "probabilities",
    "renyi_divergence",
    "renyi_entropy",
    "rounding",
    "scalars",
    "tail_probability",
    "temper",
    "total",
]
