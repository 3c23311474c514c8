"""Exact finite Markov chains: what becomes of a loop whose corpora are n samples.

A model that is refitted to n of its samples is one of finitely many: the counts of these samples
are the states of a Markov chain, and what is asked of it is linear algebra.

    from_loop          the chain of a loop: any samplers, Fresh in Mixed, Pooled or Curated
    absorption         where and when it ends: probabilities, mean and variance of the time
    law                the law at generation t, from a state, a law, or any model p₀
    stationary         the law that stays, where real data or pseudo-counts keep outcomes alive
    quasi_stationary   the law before absorption, and its rate: the leading eigenvalue

    spectrum           all eigenvalues; leading_spectrum: the first of them, for large n, fast

Any number of outcomes at temperature 1 needs no states: `fixedpoint.laws.fixation`.

Single traces of two outcomes, which move along the line:

    traces_mean        mean of an observable after a million generations, by a transfer operator

All of it is host code in NumPy, in float64, and needs `jax_enable_x64`.
"""

from .absorption import Absorption as Absorption
from .absorption import QuasiStationary as QuasiStationary
from .absorption import absorption as absorption
from .absorption import law as law
from .absorption import quasi_stationary as quasi_stationary
from .absorption import stationary as stationary
from .spectrum import Spectrum as Spectrum
from .spectrum import leading_spectrum as leading_spectrum
from .spectrum import spectrum as spectrum
from .states import Chain as Chain
from .states import from_loop as from_loop
from .traces import TracesMean as TracesMean
from .traces import traces_mean as traces_mean
