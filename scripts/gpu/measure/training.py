"""Step 2: our trainer, with every precision that it has."""

import csv
import json
import math
import os
import re
import shutil
import time
import tomllib
from functools import partial

from checkpoint import LAST, WEIGHTS, is_checkpoint, locate
from outcome import Failed, Skipped
from sampler import Sampler

HEADS = ("dense", "lstm")
# What is timed waits so long for peers that compile.
PEERS_SECONDS = 30
SPLIT = "song-seed1"
# Arithmetic of our trainer by the names of the results.
PRECISIONS = {
    "fp32": ("--precision", "fp32"),
    "tf32": ("--precision", "tf32"),
    "bf16": ("--precision", "bf16"),
    "bf16-benchmark": ("--precision", "bf16", "--cudnn-benchmark"),
    # What the fused operator and the CUDA graph save.
    "bf16, not fused": ("--precision", "bf16", "--no-fused-operator"),
    "bf16, no graph": ("--precision", "bf16", "--no-cuda-graph"),
    "bf16, not fused, no graph": ("--precision", "bf16", "--no-fused-operator", "--no-cuda-graph"),
}
# Share of the steps, so that an epoch lasts about as long with slower arithmetic.
STEPS = {"tf32": 0.6, "fp32": 0.3, "bf16, not fused": 0.6, "bf16, no graph": 0.6, "bf16, not fused, no graph": 0.6}
# No TF32 in cuBLAS and cuDNN, whatever a program requests.
NO_TF32 = {"NVIDIA_TF32_OVERRIDE": "0"}
# The loss on real music must fall to this share of the first epoch's.
FALLEN = 0.9


def data(run):
    return run.work / "synthetic"


def music(run):
    return run.bundle / "data" / "music"


def name_of(network, head, precision=None):
    return f"{network}-{head}" + (f", {precision}" if precision else "")


def train(run):
    # Not timed, so all at once.
    falls = [(f"trains on music, {name_of(*how)}", 50, partial(trains_on_music, run, *how)) for how in run.sizes.music]
    run.together([("synthetic data", 60, lambda: begin_data(run).result(run.ends - run.now())), *falls])
    run.part("peers are ready", PEERS_SECONDS, lambda: peers_ready(run), least=0)
    for timed in run.sizes.timed:
        run.part(timed.name, 40, lambda: full_speed(run, timed))


def peers_ready(run):
    """Waits until nothing compiles beside what is timed."""
    if not run.on_gpu:
        raise Skipped("nothing is timed")
    began = run.now()
    while run.peers.preparing() and run.now() < run.ends:
        time.sleep(0.1)
    return {"waited_seconds": run.now() - began, "compiling_still": run.peers.preparing()}


def begin_data(run):
    """Writing takes a quarter of a minute, so it begins beside the step before."""
    return run.begin("synthetic data", 90, lambda: make_data(run))


def make_data(run):
    sizes = run.sizes
    began = run.now()
    found = run.json("synthetic", fresh(data(run)), "--clips", sizes.clips, "--artists", sizes.artists, "--samples", sizes.samples)
    return {**found, "in_background_seconds": run.now() - began, "read_from": "the disk's cache, where memory holds it"}


def has_data(run):
    return (data(run) / "dataset.toml").exists()


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def arithmetic(precision):
    """Settings and environment of a fit."""
    return PRECISIONS[precision], NO_TF32 if precision == "fp32" else {}


def fit(run, dataset, out, *settings, device=None, env=None, cores=None):
    """Trains in a fresh folder; returns the epochs of the history and the samples of the GPU."""
    device = device or run.sizes.device
    # The first cores of those that this program may use.
    first = sorted(os.sched_getaffinity(0))[:cores]
    before = ("taskset", "--cpu-list", ",".join(map(str, first))) if cores else ()
    with Sampler(device == "cuda") as sampler:
        how = ("--split", SPLIT, "--out", fresh(out), "--device", device, *settings)
        run.command(*before, run.bundle / "bin" / "leitmotif-train", "fit", dataset, *how, env=env)
    with open(out / "history.csv", encoding="utf-8", newline="") as file:
        rows = [{key: float(row[key]) for key in ("loss", "accuracy", "seconds")} for row in csv.DictReader(file)]
    return rows, sampler


def full_speed(run, timed, share=1.0, out=None):
    """Steps a second, disk included, in the second of two epochs; `share` of the steps that it usually has."""
    if not has_data(run):
        raise Failed("there is no synthetic data: the step `train` makes it")
    steps = math.ceil(timed.steps * share * STEPS.get(timed.precision, 1.0))
    out = out or folder_of(run, timed)
    settings, env = arithmetic(timed.precision)
    network, batch = of_training(run, timed)
    how = (*network, *settings, "--epochs", 2, "--steps", steps)
    began, beside = run.now(), run.peers.preparing()
    rows, sampler = fit(run, data(run), out, *how, env=env, cores=timed.cores)
    seconds = rows[-1]["seconds"]
    speed = steps / seconds
    return {
        "settings": " ".join(settings), "tf32_override": env.get("NVIDIA_TF32_OVERRIDE"), "recipe": timed.recipe, "without": timed.without,
        "cores": timed.cores or len(os.sched_getaffinity(0)), "parameters": parameters(out / LAST), "batch": batch, "steps": steps,
        "first_epoch_seconds": rows[0]["seconds"], "start_seconds": run.now() - began - sum(row["seconds"] for row in rows),
        "steps_per_second": speed, "timed_seconds": seconds, "clips_per_second": speed * batch,
        "losses": [row["loss"] for row in rows], "gpu": sampler.summary(seconds), "compiling_beside": beside,
    }  # fmt: skip


def of_training(run, timed):
    """Options that say what is trained, and the clips of a batch."""
    if not timed.recipe:
        return ("--network", timed.network, "--head", timed.head, "--batch", run.sizes.batch), run.sizes.batch
    recipe, name = tomllib.loads((run.bundle / "recipes" / f"{timed.recipe}.toml").read_text()), timed.recipe
    if timed.without:
        name = run.work / f"{timed.name}.toml"
        lines = (run.bundle / "recipes" / f"{timed.recipe}.toml").read_text().splitlines()
        name.write_text("\n".join(line for line in lines if line.partition(" ")[0] not in timed.without) + "\n")
    batch = run.sizes.recipe_batch or recipe["batch"]
    return ("--recipe", name, "--head", timed.head, "--batch", batch), batch


def folder_of(run, timed):
    return run.work / timed.name.replace(", ", "-").replace(" ", "-")


def checkpoint_of(run, network, head):
    """A checkpoint of the network at full size, for the peers and for serving."""
    for timed in run.sizes.timed:
        if (timed.network, timed.head) == (network, head) and is_checkpoint(found := folder_of(run, timed) / LAST):
            return found
    raise Failed("there is no checkpoint: the step `train` makes it")


def parameters(checkpoint):
    """How many values are trained, by the header of the weights' file."""
    with open(locate(checkpoint) / WEIGHTS, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    total = 0
    for name, tensor in header.items():
        if name != "__metadata__" and "running_" not in name:
            size = 1
            for length in tensor["shape"]:
                size *= length
            total += size
    return total


def music_network(run, network, dropout=True):
    """The description of a network that is trained on music: no more segments than the bundle's clips have."""
    text = (run.bundle / "presets" / f"{network}.toml").read_text()
    segment, samples = (tomllib.loads(description)[key] for description, key in ((text, "segment"), (info(run), "clip_samples")))
    window = min(run.sizes.window, samples // segment)
    lines = [f"window = {window}" if line.startswith("window") else line for line in text.splitlines()]
    text = "\n".join(lines) + "\n"
    if not dropout:
        # What is dropped may differ between devices.
        text = re.sub(r", dropout = [0-9.]+", "", text)
    file = run.work / f"{network}{'' if dropout else '-without-dropout'}.toml"
    file.write_text(text)
    return file


def info(run):
    return (music(run) / "dataset.toml").read_text()


def trains_on_music(run, network, head, precision):
    sizes = run.sizes
    settings, env = arithmetic(precision)
    settings = ("--batch", sizes.music_batch, "--balance", "artists", "--epochs", sizes.music_epochs, "--steps", sizes.music_steps, *settings)
    network, out = music_network(run, network), run.work / f"music-{name_of(network, head)}-{precision}"
    rows, _ = fit(run, music(run), out, "--network", network, "--head", head, *settings, env=env)
    losses = [row["loss"] for row in rows]
    found = {"losses": losses, "accuracies": [row["accuracy"] for row in rows], "fallen_to": losses[-1] / losses[0], "limit": FALLEN}
    if not losses[-1] <= FALLEN * losses[0]:
        found["error"] = f"the loss did not fall to {FALLEN} of the first epoch's"
    return found
