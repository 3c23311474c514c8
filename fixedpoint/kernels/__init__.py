"""The inner loops, one a file, and the one place that runs them on the machine.

```
sums.py         every generation of pure tempering from two sums over a table of logits
spectrum.py     … from a few dozen numbers, for hundreds of temperatures
observables.py  what follows from either; the temperature of a given entropy
ensemble.py     a tile of gradient flows with the same steps
traces.py       a tile of single-trace replicates through all their generations
lazy.py         … of hundreds of outcomes and more, without visiting all in every generation
resampling.py   a tile of replicates refitted to few samples, from their counts alone
multinomial.py  counts of independent draws, whatever is rare among them
random.py       random numbers inside a loop
exponential.py  2^t, e^t and log z in few operations
driver.py       tiles, devices and compiler options
```

Kernels are pure functions of JAX arrays, not jitted, each tested against a slow and obvious twin.
"""

from .observables import Sweep as Sweep
from .observables import sweep as sweep
from .observables import temperature_for_entropy as temperature_for_entropy
from .sums import PartitionSums as PartitionSums
from .sums import partition_sums as partition_sums
