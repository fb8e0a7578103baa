"""Step 3: our trainer and the box's PyTorch alternately, both fed from the same data set."""

from statistics import median

import training
from training import HEADS, SPLIT, checkpoint_of, data, full_speed, name_of

# Fields of the peer's speed that ours is divided by: fed as our trainer is, fed without waiting for each loss, one batch over and over.
SPEEDS = ("fed_steps_per_second", "late_steps_per_second", "resident_steps_per_second")


def peers(run):
    sizes, profiles = run.sizes, {}
    smaller, *others = sizes.steps
    # The smaller network compiled comes before the larger one at all.
    for network, compiled in ((smaller, False), (smaller, True), *((other, False) for other in others)):
        modes = sizes.compiled if compiled else sizes.modes
        for head in HEADS if modes else ():
            name = name_of(network, head) + (", compiled" if compiled else "")
            run.part(name, 80, lambda: against_pytorch(run, network, head, modes, name, profiles))
    run.part("two ranks on one GPU", 5, lambda: {"skipped": "fit has no ranks yet"})
    run.part("kernels of our trainer", 5, lambda: {"skipped": "no profiler attaches to a program without Python here"})


def against_pytorch(run, network, head, modes, name, profiles):
    checkpoint = checkpoint_of(run, network, head)
    ours = {precision: [] for precision in run.sizes.precisions if precision != "fp32" or not run.on_gpu}

    def measure_ours():
        for precision, found in ours.items():
            try:
                found.append(full_speed(run, network, head, precision, epochs=2))
            except training.Skipped as reason:
                found.append({"skipped": str(reason)})

    measure_ours()
    settings = ("--device", run.sizes.device, "--batch", run.sizes.batch, "--seconds", run.sizes.peer_seconds, "--modes", ",".join(modes))
    theirs = run.peer("gpu_train.py", checkpoint, data(run), "--split", SPLIT, *settings, "--profile", limit=run.ends - run.now() - 1)
    profiles[name] = theirs.pop("profile", {"skipped": "out of time"})
    run.write_json("profile.json", profiles)
    found = {"ours": ours, "theirs": theirs, "ours_to_theirs": ratios(ours, theirs)}
    best = max((speed[field], mode, field) for mode, speed in theirs["modes"].items() for field in SPEEDS if field in speed) if ratios(ours, theirs) else None
    found["best_of_theirs"] = best and dict(zip(("steps_per_second", "mode", "field"), best))
    if left := [mode for mode in modes if mode not in theirs["modes"]]:
        found["cut_off"] = left
    if (count := theirs["check"]["parameters"]) != (own := training.parameters(checkpoint)):
        found["error"] = f"the peer has {count} parameters, ours {own}"
    # After theirs once more, where there is time: the card's clock may have changed.
    if run.ends - run.now() > 20:
        measure_ours()
        found["ours_to_theirs"] = ratios(ours, theirs)
    return found


def ratios(ours, theirs):
    """Our median steps a second, with each precision, to theirs."""
    found = {}
    for precision, runs in ours.items():
        if speeds := [run["steps_per_second"] for run in runs if "steps_per_second" in run]:
            for mode, speed in theirs["modes"].items():
                for field in SPEEDS:
                    if field in speed:
                        found.setdefault(precision, {}).setdefault(mode, {})[field.removesuffix("_steps_per_second")] = median(speeds) / speed[field]
    return found
