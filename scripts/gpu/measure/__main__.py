"""Started by run.sh: every step in order, a JSON file each."""

import argparse
import sys
from pathlib import Path

import box
import projection
import serving
import sizes
import training
from runner import Run, write_json

STEPS = {"box": box.measure, "train": training.train, "peer": training.peer, "export": serving.export, "serve": serving.serve, "projection": projection.project}


def main():
    bundle = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(prog="run.sh", description="Measures leitmotif on this box; see the head of run.sh.")
    parser.add_argument("--out", type=Path, default=bundle / "results", help="folder of the results")
    parser.add_argument("--work", type=Path, default=bundle / "work", help="folder on a large disk for data and checkpoints")
    parser.add_argument("--only", default=",".join(STEPS), metavar="STEP,…", help=f"of {', '.join(STEPS)}")
    parser.add_argument("--minutes", type=float, default=10.0, help="for everything; the time of steps that are left out is not used by others")
    parser.add_argument("--cpu-small", action="store_true", help="rehearse on the CPU with small sizes")
    arguments = parser.parse_args()
    chosen = arguments.only.split(",")
    if unknown := [step for step in chosen if step not in STEPS]:
        parser.error(f"--only: there is no step {', '.join(unknown)}")
    for folder in (arguments.out, arguments.work):
        folder.mkdir(parents=True, exist_ok=True)
    size = sizes.SMALL if arguments.cpu_small else sizes.FULL
    run = Run(bundle, arguments.out.resolve(), arguments.work.resolve(), size, arguments.minutes, sys.executable)
    succeeded = {step: run.step(step, STEPS[step]) for step in STEPS if step in chosen}
    failed = [step for step, good in succeeded.items() if not good]
    seconds = round(run.now() - run.began, 1)
    write_json(run.out / "run.json", {"steps": chosen, "failed": failed, "seconds": seconds, "device": size.device, "minutes": arguments.minutes})
    run.log(f"{len(succeeded) - len(failed)} of {len(succeeded)} steps succeeded; results in {run.out}")
    sys.exit(1 if failed else 0)


main()
