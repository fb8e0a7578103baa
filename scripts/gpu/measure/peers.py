"""Step 3: our trainer and the box's PyTorch alternately, both fed from the same data set."""

from statistics import median

from background import preset
from outcome import Failed, Skipped
from runner import LEAST_SECONDS
from sizes import Training
from training import SPLIT, checkpoint_of, data, full_speed, name_of, parameters

# Fields of the peer's speed that ours is divided by: fed as our trainer is, fed without waiting for each loss, one batch over and over.
SPEEDS = ("fed_steps_per_second", "late_steps_per_second", "resident_steps_per_second")
# Of the steps that the step `train` times.
SHARE = 0.5


def peers(run):
    run.part("two ranks on one GPU", 60, no_ranks)
    run.part("kernels of our trainer", 60, no_profiler)
    sizes, profiles = run.sizes, {}
    first = (sizes.timed[0].network, sizes.timed[0].head)
    ours = {}
    run.part(name_of(*first), 90, lambda: against_pytorch(run, *first, "train", sizes.modes, ours, sizes.again))
    compiled = [(name_of(*first) + f", {mode}", 60, *first, f"train {mode}", [mode], ours) for mode in sizes.compiled]
    others = [(name_of(*pair), 40, *pair, "train", sizes.modes[:1], {}) for pair in sizes.peers_too]
    # While one compiles there are others to measure.
    preparing = run.peers.preparing()
    for name, limit, *what in sorted((*compiled, *others), key=lambda part: part[4] in preparing):
        run.part(name, limit, lambda: against_pytorch(run, *what, sizes.again[:1]))
    # Last, as a profiler may slow down what runs after it.
    for name, mode in sizes.profiled:
        run.part(f"profile of {mode}", 20, lambda: profile(run, *first, name, mode, profiles))
    run.peers.stop("train")


def no_ranks():
    raise Skipped("fit has no ranks yet")


def no_profiler():
    raise Skipped("no profiler here attaches to a program without Python")


def against_pytorch(run, network, head, peer, modes, ours, again):
    """Their modes between two measurements of ours; `ours` are those so far, of which the last is the first of the next part."""
    checkpoint = checkpoint_of(run, network, head)

    def measure_ours():
        """Returns the seconds that it took."""
        began = run.now()
        for precision in again:
            try:
                timed = Training(network, head, precision, run.sizes.timed[0].steps)
                found = full_speed(run, timed, share=SHARE, out=run.work / "peers")
            except Failed as error:  # Theirs is still worth having.
                found = {"error": str(error)}
            ours.setdefault(precision, []).append(found)
        return run.now() - began

    took = measure_ours() if not ours else 0
    where = {"file": preset(run, network), "head": head, "checkpoint": str(checkpoint), "dataset": str(data(run)), "split": SPLIT}
    theirs = run.peers.get(peer).ask(**where, modes=list(modes), seconds=run.sizes.peer_seconds)
    theirs.pop("profile", None)
    if "modes" not in theirs:
        return {"theirs": theirs}
    speeds = [(speed[field], mode, field) for mode, speed in theirs["modes"].items() for field in SPEEDS if field in speed]
    best = dict(zip(("steps_per_second", "mode", "field"), max(speeds, default=())))
    if run.ends - run.now() > max(1.2 * took, LEAST_SECONDS):
        measure_ours()
    found = {"best_of_theirs": best, "ours_to_theirs": ratios(ours, theirs), "theirs": theirs}
    # A copy: the next part measures on.
    found["ours"] = {precision: list(runs) for precision, runs in ours.items()}
    found["cut_off"] = [mode for mode in modes if mode not in theirs["modes"]]
    if (count := theirs.get("parameters")) and count != (own := parameters(checkpoint)):
        found["error"] = f"the peer has {count} parameters, ours {own}"
    return found


def profile(run, network, head, peer, mode, profiles):
    """Into a file of its own, as it is long."""
    if not run.peers.runs(peer):
        raise Skipped(f"the peer of {mode} has ended")
    found = run.peers.get(peer).ask(file=preset(run, network), head=head, modes=[], profiled=[mode])
    profiles.setdefault(name_of(network, head), {}).update(found.get("profile", {}))
    run.write_json("profile.json", profiles)
    return {"in": "profile.json"}


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
