"""The process: what one generation does, and running it.

```
   model ──sampler──▶ drawn distribution ──corpus──▶ target ──learner──▶ model
```

`samplers` say what is drawn, `corpora` what is trained on, `learners` how; `run` iterates them,
`flow` follows them in continuous time.
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
