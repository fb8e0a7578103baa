#!/usr/bin/env python3
"""Prepares a data set in parts as Ray tasks, then joins them: the bytes that one machine would write.

    python prepare.py --parts 16 --out dataset --program target/release/leitmotif-train -- folder MUSIC

What follows `--` is what `leitmotif-train prepare` gets, less `--out` and `--part`. Parts that are whole are not made again, so the same
call goes on where the last one ended; a part whose worker dies is repeated elsewhere.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import ray


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", required=True, type=int, help="how many tasks share the work")
    parser.add_argument("--out", required=True, type=Path, help="the data set; its parts are made in a folder beside it, which every worker can write")
    parser.add_argument("--program", default="leitmotif-train", help="the same version on every machine (default: %(default)s)")
    parser.add_argument("--address", help="a running cluster, such as `auto` (default: workers on this machine)")
    parser.add_argument("prepare", nargs="+", help="arguments of `prepare`")
    given = parser.parse_args()
    if given.parts < 1:
        parser.error("--parts must be at least 1")
    ray.init(address=given.address, log_to_driver=False)
    out = given.out.resolve()
    parts = out.with_name(f"{out.name}.parts")
    tasks = {part.remote(given.program, given.prepare, f"{number}/{given.parts}", str(parts)): number for number in range(1, given.parts + 1)}
    failed = []
    while tasks:
        done, _ = ray.wait(list(tasks))
        number = tasks.pop(done[0])
        try:
            problem = ray.get(done[0])
        except ray.exceptions.RayError as error:
            problem = str(error)
        print(f"part {number}/{given.parts}: {problem or 'done'}", flush=True)
        if problem:
            failed.append(number)
    if failed:
        print(f"prepare.py: parts {', '.join(map(str, sorted(failed)))} failed; the others are kept. Call again once that is mended", file=sys.stderr)
        return 1
    return subprocess.run([given.program, "dataset", "merge", str(parts), "--out", str(out)]).returncode


@ray.remote(num_cpus=1, max_retries=3)
def part(program: str, prepare: list[str], part: str, parts: str) -> str | None:
    """Makes a part in the folder of parts; what went wrong, if anything did. A part that was begun is gone on with, a whole one left alone."""
    command = [program, "prepare", *prepare, "--part", part, "--out", parts]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode == 0:
        return None
    if done.returncode < 0:
        # Killed: Ray repeats the task.
        raise RuntimeError(f"{program} was ended by signal {-done.returncode}")
    return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else f"exit code {done.returncode}"


if __name__ == "__main__":
    sys.exit(main())
