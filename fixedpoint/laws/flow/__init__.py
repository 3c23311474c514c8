r"""Gradient flow: what training really does between two generations.

A learner that follows the gradient of the cross-entropy for a time, with infinitely many samples,
moves its logits as dθ/dt = target - softmax(θ). The target is the model at temperature T, either
as it was at the beginning (a *frozen* teacher) or as it is now (*online*, the model as its own
teacher): dθ/dt = softmax(θ/T) - softmax(θ). *Mixture* flow moves the probabilities instead,
dp/dt = p_T - p; *natural* flow follows the natural gradient of KL(p ‖ p_T).

```
collapse at T < 1      1 - P(modes)                refit: exp(-Δ T⁻ⁿ)
  online               m(K - m)/(K t)              natural: exp(-Δ e^((1/T-1)t))
  frozen, n times τ    m(K - m)/(K n τ)            mixture: C e⁻ᵗ
```

All of them climb one potential Φ (`flow.potential`), so that they share their fixed points.
"""

from .solution import blow_up as blow_up
from .solution import collapse_tail as collapse_tail
from .solution import duality as duality
from .solution import finite_training as finite_training
from .solution import frozen_one_hot_target as frozen_one_hot_target
from .solution import frozen_two_outcomes as frozen_two_outcomes
from .solution import frozen_uniform_target as frozen_uniform_target
from .solution import lineage as lineage
from .solution import losers_equalise as losers_equalise
from .solution import majorisation as majorisation
from .solution import mixture_frozen as mixture_frozen
from .solution import mixture_online as mixture_online
from .solution import multiplier as multiplier
from .solution import natural as natural
from .solution import off_ray as off_ray
from .solution import online_block as online_block
from .solution import online_chebyshev as online_chebyshev
from .solution import online_two_outcomes as online_two_outcomes
from .solution import potential as potential
from .solution import relaxation_rate as relaxation_rate
from .solution import reverse_kl_tail as reverse_kl_tail
from .solution import uniform_rate as uniform_rate
