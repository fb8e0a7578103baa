"""Step 6: how long the paper's training would take at the speed of step 2."""

import json
import math

from runner import Failed

EPOCHS, CLIPS, BATCH = 50, 24_847, 16
# Clips of the training part, where a fifth is kept for testing.
TRAINING = round(0.8 * CLIPS)
PAPERS_HOURS = "12 to 24 on a GTX 1080 Ti"


def project(run):
    file = run.out / "train.json"
    for network, head in run.sizes.networks:
        run.part(f"{network}-{head}", 10, lambda: hours(file, f"{network}-{head}"))


def hours(file, name):
    part = json.loads(file.read_text())["parts"].get(name, {}) if file.exists() else {}
    if "steps_per_second" not in part:
        raise Failed("its speed was not measured: the step `train` does it")
    speed = part["steps_per_second"]
    of = {clips: EPOCHS * math.ceil(clips / BATCH) / speed / 3600 for clips in (CLIPS, TRAINING)}
    found = {"epochs": EPOCHS, "batch": BATCH, "steps_per_second": speed, f"hours_for_{CLIPS}_clips": of[CLIPS], f"hours_for_{TRAINING}_clips": of[TRAINING]}
    return {**found, "without": "validation and checkpoints", "papers_hours": PAPERS_HOURS, "papers_size": part["batch"] == BATCH}
