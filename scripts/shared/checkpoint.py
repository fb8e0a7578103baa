"""Where a checkpoint lies and the names of its files, as in models/src/checkpoint.rs."""

import json
from pathlib import Path

# Folders of a run: the checkpoints after its newest and of its best epoch.
LAST, BEST = "last", "best"
# Files of a checkpoint.
RECORD, WEIGHTS, PROBE = "run.json", "weights.safetensors", "probe.safetensors"


def locate(folder):
    """`folder`, or the earlier checkpoint beside it where the trainer was killed while it replaced one by the other."""
    folder = Path(folder)
    old = folder.with_name(f".{folder.name}.old")
    return old if not folder.exists() and old.exists() else folder


def is_checkpoint(folder):
    return (locate(folder) / RECORD).exists()


def record(folder):
    """What was trained, on what and how far."""
    return json.loads((locate(folder) / RECORD).read_text(encoding="utf-8"))
