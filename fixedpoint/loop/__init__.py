"""The process: what one generation does, and running it.

```
   model ──sampler──▶ drawn distribution ──corpus──▶ target ──learner──▶ model
```

`samplers` say what is drawn, `corpora` what is trained on, `learners` how; `run` iterates them,
`flow` follows them in continuous time.

**Parts of one's own.** A part is a class derived from `Sampler`, `Corpus` or `Learner`; its fields
are its parameters (an array may be differentiated and batched, a static field may not), its methods
are written in jax.numpy. Logits have the outcomes as their last axis; `-inf` is an outcome that is
never drawn, not in the data, or lost. What `run` needs of each kind:

- a sampler: `__call__(logits)`, the logits that are drawn from;
- a corpus: `stochastic`, whether it needs a random key; `initial(logits)`, its memory before the
  first generation (None, or arrays whose shapes stay); `__call__(drawn, memory, key)`, the data as
  a `Target` and the memory afterwards;
- a learner: `__call__(logits, target, key)`, the trained model; and `stochastic`, if it is;
- an observable: any function of the logits of one replicate.

    >>> import equinox as eqx, jax, jax.numpy as jnp
    >>> import fixedpoint as fp
    >>> class Exploring(fp.loop.Sampler):
    ...     '''Draws from the model with chance 1 − ε, else from all outcomes alike.'''
    ...     chance: float
    ...     def __call__(self, logits):
    ...         p = fp.simplex.probabilities(logits)
    ...         return jnp.log((1 - self.chance) * p + self.chance / p.shape[-1])
    >>> class Distinct(fp.loop.Corpus):
    ...     '''n draws without their duplicates: what was drawn counts once, however often.'''
    ...     num_samples: int = eqx.field(static=True)
    ...     stochastic = True
    ...     def initial(self, logits):
    ...         return None
    ...     def __call__(self, drawn, memory, key):
    ...         target, memory = fp.Fresh(self.num_samples)(drawn, memory, key)
    ...         kept = jnp.where(target.logits > -jnp.inf, 0.0, -jnp.inf)
    ...         return fp.loop.Target(kept, jnp.isfinite(kept).sum(-1)), memory
    >>> class Averaged(fp.loop.Learner):
    ...     '''The average of the old weights and of those that a full refit has.'''
    ...     share: float
    ...     def __call__(self, logits, target, key):
    ...         old, new = map(fp.simplex.log_probabilities, (logits, target.logits))
    ...         return (1 - self.share) * old + self.share * new
    >>> def perplexity(logits):
    ...     return jnp.exp(fp.simplex.entropy(logits))

Each can be tried alone, and they go with all others:

    >>> fp.simplex.probabilities(Exploring(0.2)(jnp.log(jnp.array([0.75, 0.25]))))  # 0.6 + 0.1
    Array([0.7, 0.3], dtype=float64)
    >>> loop = fp.Loop(Exploring(0.2), Distinct(num_samples=40), Averaged(0.5))
    >>> logits = jnp.log(jnp.array([0.7, 0.2, 0.1]))
    >>> runs = fp.run(loop, logits, 30, key=jax.random.key(0), observe=perplexity)
    >>> runs.engine, runs.value[jnp.array([0, 30])].round(3)  # all three are drawn: to 1/3 each
    ('general', Array([2.23, 3.  ], dtype=float64))

A part that does not fit is refused before anything runs, in words: a sampler that forgets an
outcome, a corpus that returns no `Target`, a memory that changes its form.

    >>> class Shortened(fp.loop.Sampler):
    ...     def __call__(self, logits):
    ...         return logits[..., 1:]
    >>> fp.run(fp.Loop(Shortened()), logits, 1)
    Traceback (most recent call last):
    ...
    ValueError: `loop` must lead from logits of shape (3,) to floats of this shape; Shortened()
    returns shape (2,) and type float64. (One parameter for each model of a batch goes with logits
    of shape (models, outcomes), or with jax.vmap over the loop.)
"""

from .corpora import Accumulated as Accumulated
from .corpora import Corpus as Corpus
from .corpora import Curated as Curated
from .corpora import Exact as Exact
from .corpora import Fresh as Fresh
from .corpora import Mixed as Mixed
from .corpora import Pooled as Pooled
from .corpora import Target as Target
from .flow import Flow as Flow
from .flow import flow as flow
from .generation import Loop as Loop
from .learners import FinalAnswer as FinalAnswer
from .learners import GradientFlow as GradientFlow
from .learners import GradientSteps as GradientSteps
from .learners import Learner as Learner
from .learners import MixtureStep as MixtureStep
from .learners import Refit as Refit
from .run import Trajectory as Trajectory
from .run import logarithmic_generations as logarithmic_generations
from .run import run as run
from .samplers import MinP as MinP
from .samplers import Nucleus as Nucleus
from .samplers import Sampler as Sampler
from .samplers import Temperature as Temperature
from .samplers import TopK as TopK
