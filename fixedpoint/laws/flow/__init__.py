"""Flow: what training for a finite time does between two generations.

A learner that follows the gradient of the cross-entropy for a time, with infinitely many samples,
moves its logits as dθ/dτ = target - softmax(θ). Here the target is the model at temperature T as it
was at the beginning, a *frozen* teacher; in `online` it is the model as it is now; `geometry` moves
the probabilities instead, or follows the natural gradient.

```
collapse at T < 1      1 - P(modes)                refit: exp(-Δ T⁻ᵗ)
  online               m(K - m)/(K τ)              natural: exp(-Δ e^((1/T-1)τ))
  frozen, t times τ    m(K - m)/(K t τ)            mixture: C e^(-τ)
```

All of them climb one potential Φ (`geometry.potential`), so that they share their fixed points.
"""

from .solution import finite_training as finite_training
from .solution import frozen_one_hot_target as frozen_one_hot_target
from .solution import frozen_two_outcomes as frozen_two_outcomes
from .solution import frozen_uniform_target as frozen_uniform_target
from .solution import lineage as lineage
from .solution import multiplier as multiplier
from .solution import off_ray as off_ray
from .solution import relaxation_rate as relaxation_rate
