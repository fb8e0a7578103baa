"""Started by run.sh: every step in order, most telling first, a JSON file each."""

import argparse
import json
import sys
from pathlib import Path

import peers
import projection
import serving
import sizes
import smoke
import training
from runner import Run

STEPS = {"smoke": smoke.smoke, "train": training.train, "peers": peers.peers, "serve": serving.serve, "projection": projection.project}


def main():
    bundle = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(prog="run.sh", description="Measures leitmotif on this box; see the head of run.sh.")
    parser.add_argument("--out", type=Path, default=bundle / "results", help="folder of the results")
    parser.add_argument("--work", type=Path, default=bundle / "work", help="folder on a large disk for data and checkpoints")
    parser.add_argument("--only", default=",".join(STEPS), metavar="STEP,…", help=f"of {', '.join(STEPS)}")
    parser.add_argument("--minutes", type=float, default=5.5, help="for everything; what does not fit is left out by name")
    parser.add_argument("--go-on", action="store_true", help="go on after a failure in smoke")
    parser.add_argument("--cpu-small", action="store_true", help="rehearse on the CPU with small sizes")
    arguments = parser.parse_args()
    chosen = arguments.only.split(",")
    if unknown := [step for step in chosen if step not in STEPS]:
        parser.error(f"--only: there is no step {', '.join(unknown)}")
    for folder in (arguments.out, arguments.work):
        folder.mkdir(parents=True, exist_ok=True)
    size = sizes.SMALL if arguments.cpu_small else sizes.FULL
    run = Run(bundle, arguments.out.resolve(), arguments.work.resolve(), size, arguments.minutes, sys.executable, chosen)
    try:
        succeeded = measure(run, chosen, arguments.go_on)
    finally:
        run.peers.stop()
    failed = [name for name, good in succeeded.items() if not good]
    run.log(f"{len(succeeded) - len(failed)} of {len(succeeded)} steps succeeded; results in {run.out}")
    sys.exit(1 if failed else 0)


def measure(run, chosen, go_on):
    # Not timed: beside the step `smoke`.
    run.peers.start([kind for kind, step in (("train", "peers"), ("serve", "serve")) if step in chosen])
    if "train" in chosen:
        training.begin_data(run)
    packed = run.bundle / "bundle.json"
    built = {"commit": json.loads(packed.read_text())["commit"] if packed.exists() else None, "command": " ".join(["run.sh", *sys.argv[1:]])}
    succeeded = {}
    for step in (step for step in STEPS if step in chosen):
        succeeded[step] = run.step(step, STEPS[step])
        failed = [name for name, good in succeeded.items() if not good]
        left_out = [name for name in chosen if name not in succeeded]
        record = {"steps": list(succeeded), "failed": failed, "left_out": left_out, "seconds": round(run.now() - run.began, 1)}
        run.write_json("run.json", {**built, **record, "device": run.sizes.device, "minutes": run.minutes})
        if step == "smoke" and failed and not go_on:
            run.log("smoke failed: the rest is left out, so that time remains to mend it (--go-on runs it all the same)")
            break
    return succeeded


main()
