#!/usr/bin/env python3
"""Runs every compiled form in every available runtime, and records how far each answer is off: benches/results/DATE/compatibility.json.

    measure.py EXPORT WORK OUT [RUNTIME…]

EXPORT is the command leitmotif-export, WORK a folder for models and inputs, OUT the result. Each runtime (all of runtimes.py where
none is named) runs each file on the golden input of its card and on inputs of another length and batch. Its answers are compared
with those of the newest ONNX Runtime, and those with the answer on the card, which is the trainer's. Exit 1 where a cell fails that
known.py does not explain, or one passes that it says cannot. A runtime that this machine lacks is left out.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from cases import jobs_of
from forms import compiled
from known import explanation
from runtimes import NEWEST, runtimes

ROOT = Path(__file__).resolve().parent.parent.parent


def main(export, work, out, *only):
    work = Path(work)
    networks, files = compiled(ROOT, export, work)
    jobs = [jobs_of(file, work) for file in files]
    (work / "jobs.json").write_text(json.dumps(jobs))
    answers, names = {}, []
    for runtime in runtimes(ROOT):
        if not only or runtime.key in only or runtime.key == NEWEST:
            if runtime.missing:
                print(f"{runtime.name} is not tried: {runtime.missing}", flush=True)
                continue
            names.append(runtime)
            answers[runtime.key] = run(runtime, jobs, work)
    cells, faults = [], []
    for runtime in names:
        for job, answer, newest in zip(jobs, answers[runtime.key], answers[NEWEST]):
            cell = {"runtime": runtime.name, **job["form"], **compare(job, answer, newest, runtime.key == NEWEST)}
            why, word = explanation(runtime.key, job["form"], job["operators"]) or (None, "")
            label = f"{runtime.name}, {' '.join(job['form'].values())}"
            if "failed" in cell and why and word.lower() in cell["failed"].lower():
                cell["why"] = why
            elif "failed" in cell:
                faults.append(f"{label}: {cell['failed']}")
            elif why:
                faults.append(f"{label} works, where known.py says: {why}")
            cells.append(cell)
            print(f"{label}: {cell.get('failed', cell.get('largest', 'passes'))}", flush=True)
    result = {"machine": machine(), "networks": networks, "runtimes": [runtime.name for runtime in names], "cells": cells}
    if faults:
        sys.exit("\n".join(faults))
    if only:
        return  # A table of some runtimes is not the table.
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(out.name + ".part")
    part.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    part.rename(out)


def run(runtime, jobs, work):
    """A runtime's answer to each job. Where a job kills the process, another one is started for the next job."""
    answers, part = [], work / "part.json"
    while len(answers) < len(jobs):
        part.write_text(json.dumps(jobs[len(answers) :]))
        environment = {**os.environ, **runtime.environment}
        try:
            ended = subprocess.run([*runtime.command, part], env=environment, capture_output=True, text=True, timeout=1800)
        except subprocess.TimeoutExpired:
            answers += [{"error": "it has not answered within half an hour"}] * (len(jobs) - len(answers))
            break
        lines = [line for line in ended.stdout.splitlines() if line.startswith('{"')]
        answers += [json.loads(line) for line in lines]
        if len(answers) < len(jobs):
            last = (ended.stderr.strip().splitlines() or [""])[-1]
            answers.append({"error": f"its process ended with {ended.returncode}: {last}"})
    return answers


def compare(job, answer, newest, is_newest):
    """The largest |Δp| of a file in a runtime, or why there is none."""
    if "error" in answer:
        return {"failed": answer["error"].replace(f"{Path(job['model']).parent}/", "")[:300]}
    if "passes" in answer:
        return {}
    if "error" in newest:
        return {"failed": "the newest onnxruntime gave nothing to compare with"}
    golden = difference(answer["answers"][0]["data"], job["golden"])
    others = [0.0] if is_newest else [difference(a["data"], b["data"]) for a, b in zip(answer["answers"], newest["answers"])]
    if not is_newest and [a["dims"] for a in answer["answers"]] != [b["dims"] for b in newest["answers"]]:
        return {"failed": "its answers have other shapes"}
    if not max(golden, *others) <= job["tolerance"]:
        return {"failed": f"it is off by {max(golden, *others):.1e}, where {job['tolerance']:.0e} is allowed"}
    return {"largest": golden if is_newest else max(others)}


def difference(found, due):
    if len(found) != len(due):
        return float("inf")
    # JSON has no NaN: JavaScript and Rust write null.
    gaps = [abs(a - b) if a is not None and b is not None else float("nan") for a, b in zip(found, due)]
    return max(gaps) if all(gap == gap for gap in gaps) else float("inf")


def machine():
    """The same as benches/src/machine.rs."""
    output = lambda *command: subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()
    names = [line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    sources = [":/", ":(exclude,top,glob)**/README.md", ":(exclude,top)benches/results"]
    changed = output("git", "status", "--porcelain", "--untracked-files=no", "--", *sources)
    return {
        "processor": (names or ["unknown"])[0],
        "cores": os.cpu_count(),
        "commit": (output("git", "rev-parse", "--short", "HEAD") or "unknown") + ("+" if changed else ""),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


main(*sys.argv[1:])
