"""Mixing: refits to a mixture of real data and of very many own samples."""

from .solution import approach as approach
from .solution import cusp as cusp
from .solution import fraction as fraction
from .solution import guarantee as guarantee
from .solution import hot as hot
from .solution import kl_bound as kl_bound
from .solution import maxwell as maxwell
from .solution import pitchfork as pitchfork
from .solution import spinodal as spinodal
from .solution import spinodal_asymptotic as spinodal_asymptotic
from .solution import stability as stability
