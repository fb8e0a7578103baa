"""Steps 2 and 3: training with our trainer, and compared with the box's PyTorch."""

import csv
import json
import shutil
from statistics import median

from checkpoint import LAST, is_checkpoint
from runner import NO_GPU, Failed
from sampler import Sampler

HEADS = ("dense", "lstm")
SPLIT = "song-seed1"
# No TF32 in cuBLAS and cuDNN, whatever a program requests.
NO_TF32 = {"NVIDIA_TF32_OVERRIDE": "0"}
# Relative differences of the loss. At the first step: two orders of summation in f32, through eleven normalised layers. At later steps:
# Adam's first steps have the size of the learning rate and each gradient's sign, which near zero depends on rounding.
SAME_FIRST, SAME_LATER = 1e-4, 2e-2
# TF32 keeps ten bits of mantissa.
SAME_FIRST_TF32 = 1e-2
# The loss on real music must fall to this share of the first epoch's.
FALLEN = 0.9


def data(run):
    return run.work / "synthetic"


def name_of(network, head):
    return f"{network}-{head}"


def train(run):
    run.part("synthetic data", 90, lambda: make_data(run))
    for head in HEADS:
        run.part(f"trains on music, {head}", 60, lambda: trains_on_music(run, head))
    for head in HEADS:
        run.part(f"same loss, {head}", 60, lambda: same_loss(run, head))
    for network, head in run.sizes.networks:
        run.part(name_of(network, head), 60, lambda: full_speed(run, network, head))


def make_data(run):
    fresh(data(run))
    sizes = run.sizes
    clip_bytes = 2 * sizes.samples
    # Half of the free disk: checkpoints need room too.
    clips = min(sizes.clips, shutil.disk_usage(run.work).free // 2 // clip_bytes)
    found = json.loads(run.program("synthetic", data(run), "--clips", clips, "--artists", sizes.artists, "--samples", sizes.samples, "--within", sizes.write_seconds * run.scale))
    return {**found, "read_from": "the disk's cache, where memory holds it"}


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def fit(run, dataset, out, network, head, *settings, device=None, env=None):
    """Trains in a fresh folder; returns the epochs of the history and the samples of the GPU."""
    device = device or run.sizes.device
    with Sampler(device == "cuda") as sampler:
        run.program("leitmotif-train", "fit", dataset, "--split", SPLIT, "--out", fresh(out), "--network", network, "--head", head, "--device", device, *settings, env=env)
    with open(out / "history.csv", encoding="utf-8", newline="") as file:
        rows = [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]
    return rows, sampler


def full_speed(run, network, head, epochs=3, folder=None):
    """Steps a second at the paper's size, disk included; the first epoch is for warm-up."""
    steps = run.sizes.steps[network]
    out = folder or run.work / name_of(network, head)
    rows, sampler = fit(run, data(run), out, network, head, "--batch", run.sizes.batch, "--epochs", epochs, "--steps", steps)
    speeds = [steps / row["seconds"] for row in rows[1:]]
    parameters = json.loads(run.program("leitmotif-train", "inspect", out / LAST, "--json"))
    return {
        "parameters": sum(row["parameters"] for row in parameters),
        "batch": run.sizes.batch, "steps": steps, "first_epoch_seconds": rows[0]["seconds"],
        "steps_per_second": median(speeds), "every_steps_per_second": speeds,
        "clips_per_second": median(speeds) * run.sizes.batch, "losses": [row["loss"] for row in rows],
        "tf32": "convolutions and LSTM, not other products: libtorch's defaults, which tch cannot change",
        "gpu": sampler.summary(sum(row["seconds"] for row in rows[-1:])),
    }  # fmt: skip


def music_network(run):
    """The description of the network that is trained on music: clips as short as the bundle's."""
    lines = (run.bundle / "presets" / f"{run.sizes.music_network}.toml").read_text().splitlines()
    lines = [f"window = {run.sizes.window}" if line.startswith("window") else line for line in lines]
    file = run.work / "music-network.toml"
    file.write_text("\n".join(lines) + "\n")
    return file


def trains_on_music(run, head):
    sizes = run.sizes
    settings = ("--batch", sizes.music_batch, "--balance", "artists", "--epochs", sizes.music_epochs, "--steps", sizes.music_steps)
    rows, _ = fit(run, run.bundle / "data" / "music", run.work / f"music-{head}", music_network(run), head, *settings)
    losses = [row["loss"] for row in rows]
    if not losses[-1] <= FALLEN * losses[0]:
        raise Failed(f"the loss did not fall to {FALLEN} of the first epoch's: {losses}")
    return {"losses": losses, "accuracies": [row["accuracy"] for row in rows]}


def same_loss(run, head):
    """Losses of the same five steps, from the same first values and clips; the first is of the forward pass alone."""
    def losses(name, device, *settings, env=None):
        out = run.work / f"same-{head}-{name}"
        settings = ("--batch", run.sizes.same_batch, "--epochs", 5, "--steps", 1, *settings)
        rows, _ = fit(run, run.bundle / "data" / "music", out, music_network(run), head, *settings, device=device, env=env)
        return [row["loss"] for row in rows]

    cpu = losses("cpu", "cpu")
    found = {"losses": {"cpu": cpu}, "relative_differences": {}, "tolerances": {"first": SAME_FIRST, "later": SAME_LATER, "first_tf32": SAME_FIRST_TF32}}
    if run.on_gpu:
        others = {"cuda": (losses("cuda", "cuda", env=NO_TF32), SAME_FIRST), "cuda, tf32": (losses("tf32", "cuda"), SAME_FIRST_TF32)}
    else:
        found["cuda"] = {"skipped": str(NO_GPU)}
        others = {"cpu, one thread": (losses("one", "cpu", "--threads", 1), SAME_FIRST)}
    for name, (theirs, first) in others.items():
        differences = [abs(a - b) / abs(a) for a, b in zip(cpu, theirs)]
        found["losses"][name], found["relative_differences"][name] = theirs, differences
        # Later steps are compared in the same arithmetic only.
        later = SAME_LATER if first == SAME_FIRST else float("inf")
        if not (differences[0] <= first and max(differences[1:]) <= later):
            found["error"] = f"{name} is too far from the CPU"
    return found


def peer(run):
    for number, (network, head) in enumerate(run.sizes.networks):
        rounds = run.sizes.rounds if number == 0 else 1
        run.part(name_of(network, head), 100, lambda: against_pytorch(run, network, head, run.sizes.modes, rounds))
        # Compiling takes as long as everything else, so it has its own time limit.
        if run.sizes.compiled and number == 0:
            run.part(f"{name_of(network, head)}, compiled", 80, lambda: against_pytorch(run, network, head, run.sizes.compiled, 1))


def against_pytorch(run, network, head, modes, rounds):
    """Our trainer and PyTorch alternately, both fed from the same data set."""
    checkpoint = run.work / name_of(network, head) / LAST
    if not is_checkpoint(checkpoint):
        raise Failed("there is no checkpoint: the step `train` makes it")
    ours, theirs = [], []
    for left in range(rounds, 0, -1):
        ours.append(full_speed(run, network, head, epochs=2, folder=run.work / "peer"))
        settings = ("--device", run.sizes.device, "--batch", run.sizes.batch, "--seconds", run.sizes.peer_seconds, "--modes", ",".join(modes))
        theirs.append(run.peer("gpu_train.py", checkpoint, data(run), "--split", SPLIT, *settings, limit=(run.ends - run.now()) / left))
    parameters = theirs[0]["check"]["parameters"]
    if parameters != ours[0]["parameters"]:
        raise Failed(f"the peer has {parameters} parameters, ours {ours[0]['parameters']}")
    ratios = {}
    for mode in modes:
        pairs = [(a["steps_per_second"], b["modes"].get(mode, {})) for a, b in zip(ours, theirs)]
        for fed in ("fed_steps_per_second", "resident_steps_per_second"):
            if values := [our / their[fed] for our, their in pairs if fed in their]:
                ratios.setdefault(mode, {})[fed.removesuffix("_steps_per_second")] = median(values)
    found = {"parameters": parameters, "ours_to_theirs": ratios, "ours": ours, "theirs": theirs}
    return found if len(ratios) == len(modes) else {**found, "cut_off": [mode for mode in modes if mode not in ratios]}
