"""Step 5: how long the paper's training would take at the speeds of step 2."""

import json
import math

from outcome import Skipped

EPOCHS, CLIPS, BATCH = 50, 24_847, 16
# Clips of the training part, where a fifth is kept for testing.
TRAINING = round(0.8 * CLIPS)
PAPERS_HOURS = "12 to 24 on a GTX 1080 Ti"


def project(run):
    file = run.out / "train.json"
    measured = json.loads(file.read_text())["parts"] if file.exists() else {}
    for timed in (timed for timed in run.sizes.timed if not timed.recipe):
        # Whatever the others left: it measures nothing.
        run.part(timed.name, 10, lambda: hours(measured.get(timed.name, {})), least=0)


def hours(part):
    if "steps_per_second" not in part:
        raise Skipped(part.get("skipped", "its speed was not measured: the step `train` does it"))
    speed = part["steps_per_second"]
    of = {clips: EPOCHS * math.ceil(clips / BATCH) / speed / 3600 for clips in (CLIPS, TRAINING)}
    found = {"epochs": EPOCHS, "batch": BATCH, "steps_per_second": speed, **{f"hours_for_{clips}_clips": value for clips, value in of.items()}}
    return {**found, "without": "validation and checkpoints", "papers_hours": PAPERS_HOURS, "papers_size": part["batch"] == BATCH}
