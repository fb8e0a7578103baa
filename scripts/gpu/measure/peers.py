"""Step 3: our trainer and the box's PyTorch alternately, both fed from the same data set."""

from statistics import median

from runner import Failed, Skipped
from training import HEADS, SPLIT, checkpoint_of, data, full_speed, name_of, parameters

# Fields of the peer's speed that ours is divided by: fed as our trainer is, fed without waiting for each loss, one batch over and over.
SPEEDS = ("fed_steps_per_second", "late_steps_per_second", "resident_steps_per_second")


def peers(run):
    took, profiles = {}, {}
    run.part("two ranks on one GPU", 60, no_ranks)
    run.part("kernels of our trainer", 60, no_profiler)
    for network in run.sizes.steps:
        for head in HEADS:
            name, ours = name_of(network, head), {}
            run.part(name, 90, lambda: against_pytorch(run, network, head, run.sizes.modes, ours, took, profiles))
            if run.sizes.compiled:
                run.part(f"{name}, compiled", 80, lambda: against_pytorch(run, network, head, run.sizes.compiled, ours, took, profiles))


def no_ranks():
    raise Skipped("fit has no ranks yet")


def no_profiler():
    raise Skipped("no profiler here attaches to a program without Python")


def against_pytorch(run, network, head, modes, ours, took, profiles):
    """Their modes between two measurements of ours; `ours` are those so far, of which the last is the first of the next part."""
    checkpoint = checkpoint_of(run, network, head)

    def measure_ours():
        """Returns the seconds that it took."""
        began = run.now()
        for precision in run.sizes.again:
            try:
                found = full_speed(run, network, head, precision, epochs=2, out=run.work / "peers")
            except Failed as error:  # Theirs is still worth having.
                found = {"error": str(error)}
            ours.setdefault(precision, []).append(found)
        return run.now() - began

    if not ours:
        took[network] = measure_ours()
    settings = ("--device", run.sizes.device, "--batch", run.sizes.batch, "--seconds", run.sizes.peer_seconds, "--modes", ",".join(modes))
    theirs = run.peer("gpu_train.py", checkpoint, data(run), "--split", SPLIT, *settings, "--profile", limit=run.ends - run.now() - 1)
    profiles.setdefault(name_of(network, head), {}).update(theirs.pop("profile"))
    run.write_json("profile.json", profiles)
    speeds = [(speed[field], mode, field) for mode, speed in theirs["modes"].items() for field in SPEEDS if field in speed]
    best = dict(zip(("steps_per_second", "mode", "field"), max(speeds, default=())))
    if run.ends - run.now() > 1.2 * took[network]:
        measure_ours()
    found = {"best_of_theirs": best, "ours_to_theirs": ratios(ours, theirs), "theirs": theirs}
    # A copy: the next part measures on.
    found["ours"] = {precision: list(runs) for precision, runs in ours.items()}
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
