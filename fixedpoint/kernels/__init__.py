"""The inner loops, one a file, and the one place that runs them on the machine.

```
sums.py         every generation of pure tempering from two sums over a table of logits
traces.py       a tile of single-trace replicates through all their generations
resampling.py   a tile of replicates refitted to few samples, from their counts alone
random.py       random numbers inside a loop
exponential.py  2^t and e^t in few operations
driver.py       tiles, devices and compiler options
```

Kernels are pure functions of JAX arrays, not jitted, each tested against a slow and obvious twin.
"""

from .sums import PartitionSums as PartitionSums
from .sums import Sweep as Sweep
from .sums import partition_sums as partition_sums
from .sums import sweep as sweep
