"""The same results on one device or several, in one process or two."""

import os
import socket
import subprocess
import sys

import numpy as np
import pytest

SIMULATE = """
import sys
import jax
jax.config.update("jax_enable_x64", True)
path, port, process = sys.argv[1:]
if port:
    jax.distributed.initialize(f"127.0.0.1:{port}", num_processes=2, process_id=int(process))
import jax.numpy as jnp, numpy as np
import fixedpoint as fp

def simulate(devices):
    loop = fp.Loop(
        fp.Temperature(0.9),
        fp.Accumulated(fp.Mixed(jnp.full(5, 0.2), 0.1, fp.Fresh(12), num_real=3)),
        fp.GradientSteps(0.4, batch_size=2),
    )
    return fp.run(
        loop,
        jnp.array([0.3, -0.2, 0.9, -jnp.inf, 0.0]),
        30,
        key=jax.random.key(7),
        num_replicates=6,
        observe={"logits": lambda x: x, "S": fp.simplex.entropy},
        save_at=[0, 1, 17, 30],
        devices=devices,
    ).value

results = {}
for n in (2,) if port else (1, 2, 4):
    value = simulate(jax.devices()[:n])
    assert len(value["S"].sharding.device_set) == n
    if port:
        from jax.experimental import multihost_utils
        value = multihost_utils.process_allgather(value, tiled=True)
    results |= {f"{name} {n}": np.asarray(x) for name, x in value.items()}
np.savez(path, **results)
"""


def simulation(path, num_devices, port="", process=""):
    return subprocess.Popen(
        [sys.executable, "-c", SIMULATE, str(path), port, process],
        env=os.environ | {"JAX_NUM_CPU_DEVICES": str(num_devices)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def saved(process, path):
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    with np.load(path) as file:
        return dict(file)


def same(one, other):
    """To rounding, and no more: each number of devices has its own program."""
    np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.slow
def test_one_two_and_four_devices_agree(tmp_path):
    """Six replicates on four devices: two of the eight that are run are dropped."""
    path = tmp_path / "devices.npz"
    results = saved(simulation(path, num_devices=4), path)
    assert results["logits 1"].shape == (4, 6, 5)
    assert len({row.tobytes() for row in results["logits 1"][-1]}) == 6
    for name in ("logits", "S"):
        for n in (2, 4):
            same(results[f"{name} {n}"], results[f"{name} 1"])


@pytest.mark.slow
def test_two_processes_agree_with_one(tmp_path):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", 0))
        except OSError:
            pytest.skip("no port can be opened")
        port = probe.getsockname()[1]
    paths = [tmp_path / f"process{i}.npz" for i in (0, 1)]
    pair = [simulation(path, 1, str(port), str(i)) for i, path in enumerate(paths)]
    together = [saved(process, path) for process, path in zip(pair, paths, strict=True)]
    path = tmp_path / "alone.npz"
    alone = saved(simulation(path, num_devices=4), path)
    for results in together:
        for name in ("logits", "S"):
            same(results[f"{name} 2"], alone[f"{name} 1"])
