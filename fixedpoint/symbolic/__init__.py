"""One generation of a loop, in SymPy: what every proof starts from.

The twin of `fixedpoint.loop`, part by part and name by name. A claim names its loop with symbols,
`Loop(Temperature(T), Fresh(n), Refit())`; its proof takes means over generations of that loop; its
experiments put numbers in the same places and run the loop of that name.

A model is a list of probabilities (`shares(3)`, `softmax(logits)`, or numbers of your own):

    >>> import sympy as sp
    >>> n, p = sp.Symbol("n", positive=True, integer=True), shares(2)
    >>> sp.factor(mean(Loop(corpus=Fresh(n)), p, heterozygosity) / heterozygosity(p))
    (n - 1)/n

Four functions make the steps of most proofs from the answer that is to be proved, so that a wrong
answer cannot pass: `by_generations`, `at_rest`, `along_flow` and `as_limit`.
"""

from .corpora import Accumulated as Accumulated
from .corpora import Curated as Curated
from .corpora import Exact as Exact
from .corpora import Fresh as Fresh
from .corpora import Mixed as Mixed
from .corpora import Pooled as Pooled
from .distribution import Draws as Draws
from .distribution import Largest as Largest
from .distribution import NotAfter as NotAfter
from .distribution import Quantity as Quantity
from .distribution import Vector as Vector
from .distribution import centred_logits as centred_logits
from .distribution import cross_entropy as cross_entropy
from .distribution import entropy as entropy
from .distribution import fisher_matrix as fisher_matrix
from .distribution import gap_of as gap_of
from .distribution import heterozygosity as heterozygosity
from .distribution import kl_divergence as kl_divergence
from .distribution import logits as logits
from .distribution import mixture as mixture
from .distribution import model as model
from .distribution import normalised as normalised
from .distribution import num_surviving as num_surviving
from .distribution import pair as pair
from .distribution import probability as probability
from .distribution import shares as shares
from .distribution import sigmoid as sigmoid
from .distribution import slope_of_loss as slope_of_loss
from .distribution import softmax as softmax
from .distribution import unit_step as unit_step
from .generation import Loop as Loop
from .generation import all_counts as all_counts
from .generation import at_generation as at_generation
from .generation import chance as chance
from .generation import gap_speed as gap_speed
from .generation import given as given
from .generation import mean as mean
from .generation import mean_after as mean_after
from .generation import moment as moment
from .generation import next_model as next_model
from .generation import velocity as velocity
from .learners import FinalAnswer as FinalAnswer
from .learners import GradientFlow as GradientFlow
from .learners import GradientSteps as GradientSteps
from .learners import MixtureStep as MixtureStep
from .learners import Refit as Refit
from .proofs import along_flow as along_flow
from .proofs import as_limit as as_limit
from .proofs import at_numbers as at_numbers
from .proofs import at_rest as at_rest
from .proofs import by_generations as by_generations
from .proofs import elementary as elementary
from .proofs import follows_flow as follows_flow
from .proofs import generator as generator
from .proofs import lumped as lumped
from .proofs import rational as rational
from .proofs import slope as slope
from .proofs import unrolled as unrolled
from .proofs import vanishes_towards as vanishes_towards
from .proofs import without_roots as without_roots
from .proofs import written_out as written_out
from .samplers import MinP as MinP
from .samplers import Nucleus as Nucleus
from .samplers import Temperature as Temperature
from .samplers import TopK as TopK
