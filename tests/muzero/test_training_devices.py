"""The job on two devices of a host, which are made up on the CPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
from pathlib import Path
import jax
from mallocgame.system.progress import silent
from mallocgame.system.errors import BadInputError
from muzero.training.config import *
from muzero.training.job import Job, Setting
from tests.muzero.line_game import LINE_GAME, SMALL, puzzles

def job(lanes, batch):
    config = TrainConfig(
        iterations=2,
        search=SearchConfig(variant="exact-rules", simulations=4),
        self_play=SelfPlayConfig(lanes=lanes, moves=8),
        learner=LearnerConfig(batch=batch, updates=2, unroll=1),
        evaluation=EvaluationConfig(every=0),
    )
    made = puzzles(4)
    return Job(config, Setting(LINE_GAME, SMALL, 1, made, made, Path(sys.argv[1]), silent, lambda _: None))

assert len(jax.devices()) == 2
done = job(4, 8)
done.run()
leaf = jax.tree.leaves(done.learner.params)[0]
assert len(leaf.sharding.device_set) == 2
for lanes, batch in ((3, 8), (4, 9)):
    try:
        job(lanes, batch)
    except BadInputError as error:
        print(error)
print("iterations", done.iteration, "updates", int(done.learner.updates))
"""


def test_two_devices_share_self_play_and_batches(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines() == [
        "self_play.lanes is 3, which 2 devices cannot share alike",
        "learner.batch is 9, which 2 devices cannot share alike",
        "iterations 2 updates 4",
    ]
