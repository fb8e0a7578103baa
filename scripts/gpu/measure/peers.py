"""Step 3: our trainer and the box's PyTorch alternately, both fed from the same data set."""

from statistics import median

from runner import LEAST_SECONDS, Skipped
from training import HEADS, SPLIT, checkpoint_of, data, full_speed, name_of, parameters

# Fields of the peer's speed that ours is divided by: fed as our trainer is, fed without waiting for each loss, one batch over and over.
SPEEDS = ("fed_steps_per_second", "late_steps_per_second", "resident_steps_per_second")


def peers(run):
    profiles = {}
    for network in run.sizes.steps:
        for head in HEADS:
            name, ours = name_of(network, head), {}
            run.part(name, 80, lambda: against_pytorch(run, network, head, run.sizes.modes, ours, profiles))
            if run.sizes.compiled:
                run.part(f"{name}, compiled", 80, lambda: against_pytorch(run, network, head, run.sizes.compiled, ours, profiles))
    run.part("two ranks on one GPU", LEAST_SECONDS, no_ranks)
    run.part("kernels of our trainer", LEAST_SECONDS, no_profiler)


def no_ranks():
    raise Skipped("fit has no ranks yet")


def no_profiler():
    raise Skipped("no profiler here attaches to a program without Python")


def against_pytorch(run, network, head, modes, ours, profiles):
    """Their modes between two measurements of ours; `ours` are those so far, and the last one is the first of the next part."""
    checkpoint = checkpoint_of(run, network, head)

    def measure_ours():
        for precision in run.sizes.precisions:
            # The peers' settings are TF32, unless they say fp32.
            if precision != "fp32" or not run.on_gpu:
                try:
                    found = full_speed(run, network, head, precision, epochs=2, out=run.work / "peers")
                except Skipped as reason:
                    found = {"skipped": str(reason)}
                ours.setdefault(precision, []).append(found)

    if not ours:
        measure_ours()
    settings = ("--device", run.sizes.device, "--batch", run.sizes.batch, "--seconds", run.sizes.peer_seconds, "--modes", ",".join(modes))
    theirs = run.peer("gpu_train.py", checkpoint, data(run), "--split", SPLIT, *settings, "--profile", limit=run.ends - run.now() - 1)
    profiles.setdefault(name_of(network, head), {}).update(theirs.pop("profile"))
    run.write_json("profile.json", profiles)
    speeds = [(speed[field], mode, field) for mode, speed in theirs["modes"].items() for field in SPEEDS if field in speed]
    best = dict(zip(("steps_per_second", "mode", "field"), max(speeds, default=())))
    # What a measurement of ours takes.
    if run.ends - run.now() > 20:
        measure_ours()
    found = {"best_of_theirs": best, "ours_to_theirs": ratios(ours, theirs), "theirs": theirs, "ours": {name: list(runs) for name, runs in ours.items()}}
    found["cut_off"] = [mode for mode in modes if mode not in theirs["modes"]]
    if (count := theirs["check"]["parameters"]) != (own := parameters(checkpoint)):
        found["error"] = f"the peer has {count} parameters, ours {own}"
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
