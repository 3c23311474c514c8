"""Gradient flow: what training really does between two generations.

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

All of them climb one potential Φ (`online.potential`), so that they share their fixed points.
"""

from .solution import finite_training as finite_training
from .solution import frozen_one_hot_target as frozen_one_hot_target
from .solution import frozen_two_outcomes as frozen_two_outcomes
from .solution import frozen_uniform_target as frozen_uniform_target
from .solution import lineage as lineage
from .solution import mixture_frozen as mixture_frozen
from .solution import multiplier as multiplier
from .solution import off_ray as off_ray
from .solution import relaxation_rate as relaxation_rate
