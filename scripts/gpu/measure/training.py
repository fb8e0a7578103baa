"""Step 2: our trainer, with every precision that it has."""

import csv
import json
import math
import shutil
from functools import partial

from checkpoint import LAST, WEIGHTS, is_checkpoint, locate
from outcome import Failed
from sampler import Sampler

HEADS = ("dense", "lstm")
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
    network = music_network(run)
    pairs = [(head, precision) for precision in ("tf32", "bf16") for head in HEADS]
    falls = [(f"trains on music, {head}, {precision}", 50, partial(trains_on_music, run, network, head, precision)) for head, precision in pairs]
    run.together([("synthetic data", 60, lambda: begin_data(run).result(run.ends - run.now())), *falls])
    for network, head, precision in run.sizes.timed:
        run.part(name_of(network, head, precision), 40, lambda: full_speed(run, network, head, precision))


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


def fit(run, dataset, out, network, head, *settings, device=None, env=None):
    """Trains in a fresh folder; returns the epochs of the history and the samples of the GPU."""
    device = device or run.sizes.device
    with Sampler(device == "cuda") as sampler:
        how = ("--split", SPLIT, "--out", fresh(out), "--network", network, "--head", head, "--device", device, *settings)
        run.program("leitmotif-train", "fit", dataset, *how, env=env)
    with open(out / "history.csv", encoding="utf-8", newline="") as file:
        rows = [{key: float(row[key]) for key in ("loss", "accuracy", "seconds")} for row in csv.DictReader(file)]
    return rows, sampler


def full_speed(run, network, head, precision, share=1.0, out=None):
    """Steps a second at the paper's size, disk included, in the second of two epochs; `share` of the steps that the precision usually has."""
    if not has_data(run):
        raise Failed("there is no synthetic data: the step `train` makes it")
    steps = math.ceil(run.sizes.steps[network] * share * STEPS.get(precision, 1.0))
    out = out or run.work / f"{network}-{head}-{precision}"
    settings, env = arithmetic(precision)
    began, beside = run.now(), run.peers.preparing()
    rows, sampler = fit(run, data(run), out, network, head, "--batch", run.sizes.batch, "--epochs", 2, "--steps", steps, *settings, env=env)
    timed = rows[-1]["seconds"]
    speed = steps / timed
    return {
        "settings": " ".join(settings), "tf32_override": env.get("NVIDIA_TF32_OVERRIDE"),
        "parameters": parameters(out / LAST), "batch": run.sizes.batch, "steps": steps, "first_epoch_seconds": rows[0]["seconds"],
        "start_seconds": run.now() - began - sum(row["seconds"] for row in rows),
        "steps_per_second": speed, "timed_seconds": timed, "clips_per_second": speed * run.sizes.batch,
        "losses": [row["loss"] for row in rows], "gpu": sampler.summary(timed), "compiling_beside": beside,
    }  # fmt: skip


def checkpoint_of(run, network, head):
    """A checkpoint of the network at full size, for the peers and for serving."""
    for precision in (precision for *pair, precision in run.sizes.timed if pair == [network, head]):
        if is_checkpoint(found := run.work / f"{network}-{head}-{precision}" / LAST):
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


def music_network(run):
    """The description of the network that is trained on music: clips as short as the bundle's."""
    lines = (run.bundle / "presets" / f"{run.sizes.music_network}.toml").read_text().splitlines()
    lines = [f"window = {run.sizes.window}" if line.startswith("window") else line for line in lines]
    file = run.work / "music-network.toml"
    file.write_text("\n".join(lines) + "\n")
    return file


def trains_on_music(run, network, head, precision):
    sizes = run.sizes
    settings, env = arithmetic(precision)
    settings = ("--batch", sizes.music_batch, "--balance", "artists", "--epochs", sizes.music_epochs, "--steps", sizes.music_steps, *settings)
    out = run.work / f"music-{head}-{precision}"
    rows, _ = fit(run, music(run), out, network, head, *settings, env=env)
    losses = [row["loss"] for row in rows]
    found = {"losses": losses, "accuracies": [row["accuracy"] for row in rows], "fallen_to": losses[-1] / losses[0], "limit": FALLEN}
    if not losses[-1] <= FALLEN * losses[0]:
        found["error"] = f"the loss did not fall to {FALLEN} of the first epoch's"
    return found
