"""Step 4: compiles the trained networks for serving and compares speed and answers with PyTorch's and the CPU's."""

import json
import shutil
import time
from functools import partial
from statistics import median

from runner import NO_GPU, Failed
from smoke import GRAPHS, on_device
from training import HEADS, checkpoint_of, name_of

# Files, and how they are opened.
FORMS = {"portable": (), "cuda": ("--target", "cuda"), "cuda-fp16": ("--target", "cuda", "--precision", "fp16")}
RUNS = {"fp32": ("portable", ()), "tf32": ("portable", ("--tf32",)), "cuda, tf32": ("cuda", ("--tf32",)), "fp16": ("cuda-fp16", ())}
# Probabilities of a song on two devices.
SAME_SONG = 1e-4


def experiments(run):
    import os
    network = next(iter(run.sizes.steps))
    found = {}
    for form in ("portable", "cuda-fp16"):
        run.json("leitmotif-export", "compile", checkpoint_of(run, network, "dense"), *FORMS[form], "--out", run.work / "models", "--name", f"{network}-dense-{form}", "--force", "--json")
    for name, how in [("tf32", ""), ("tf32", "nhwc"), ("fp16", ""), ("fp16", "nhwc"), ("fp16", "nhwc,pinned"), ("fp16", "nhwc,fuse"), ("tf32", "exhaustive"), ("fp16", "nhwc,exhaustive"), ("fp16", "nhwc,workspace")]:
        form, options = RUNS[name]
        file = file_of(run, network, "dense", form)
        try:
            made = run.json("serve", file, "--device", run.sizes.device, "--batches", "1,64", "--seconds", 0.3, "--placement", *options, env={"LEITMOTIF_EXPERIMENT": how}, limit=15)
            made = without_memory_errors(made)
        except Exception as error:
            made = {"failure": str(error)[-1500:]}
        found[f"{name} {how}"] = made
        run.log(f"{name} {how}: {[(b['batch'], b.get('per_second', b.get('too_large', '')[-300:])) for b in made.get('batches', [])]} {made.get('failure', '')[-300:]}")
    return found


LIMITS = """
import json, time, torch
found = {}
def timed(name, bytes_, work, times=5):
    work(); torch.cuda.synchronize(); best = 1e9
    for _ in range(times):
        began = time.perf_counter(); work(); torch.cuda.synchronize(); best = min(best, time.perf_counter() - began)
    found[name] = bytes_ / best / 1e9
host = torch.rand(64, 465984); pinned = host.pin_memory(); on = torch.empty_like(host, device="cuda"); size = host.numel() * 4
timed("pageable to device, GB/s", size, lambda: on.copy_(host))
timed("pinned to device, GB/s", size, lambda: on.copy_(pinned))
timed("host copy, GB/s read", size, lambda: pinned.copy_(host))
big, other = torch.rand(1 << 30, device="cuda"), torch.empty(1 << 30, device="cuda")
timed("device copy, GB/s read and written", 2 * big.numel() * 4, lambda: other.copy_(big))
del big, other
for name, kind, tf32 in (("bf16", torch.bfloat16, False), ("tf32", torch.float32, True), ("fp32", torch.float32, False)):
    torch.backends.cuda.matmul.allow_tf32 = tf32
    a = torch.randn(8192, 8192, device="cuda", dtype=kind)
    timed(f"product of matrices, {name}, GFLOP/s", 2 * 8192**3, lambda: a @ a)
print(json.dumps(found))
"""


def limits(run):
    if not run.on_gpu:
        raise NO_GPU
    return json.loads(run.command(run.python, "-c", LIMITS))


def serve(run):
    run.part("limits", 30, lambda: limits(run))
    if run.on_gpu:
        run.part("experiments", 90, lambda: experiments(run))
    network = next(iter(run.sizes.steps))
    forms = [(f"{name_of(network, head)}, {form}", 40, partial(compiled, run, network, head, form)) for head in HEADS for form in FORMS]
    run.together([*forms, ("ten songs", 60, lambda: songs(run))])
    for head in HEADS:
        run.part(f"{name_of(network, head)} against PyTorch", 60, lambda: against_pytorch(run, network, head))
    for head in HEADS if run.sizes.serve_compiled else ():
        run.part(f"{name_of(network, head)} against torch.compile", 60, lambda: against_compiled(run, network, head))


def file_of(run, network, head, form):
    return run.work / "models" / f"{network}-{head}-{form}.{GRAPHS[head][0]}.onnx"


def compiled(run, network, head, form):
    """Compiles a checkpoint, which compares with libtorch on the CPU provider; then on CUDA."""
    checkpoint = checkpoint_of(run, network, head)
    how = (*FORMS[form], "--out", run.work / "models", "--name", f"{network}-{head}-{form}", "--force", "--json")
    found = {"cpu": run.json("leitmotif-export", "compile", checkpoint, *how)["graphs"][0]}
    for name, options in (("cuda", ()), ("cuda, tf32", ("--tf32",))):
        found[name] = on_device(run, file_of(run, network, head, form), checkpoint, "cuda", *options) if run.on_gpu else {"skipped": str(NO_GPU)}
    return found


def songs(run):
    """The shipped program on ten songs, on the CPU and on the device."""
    model = run.bundle / "models" / "demo-dense.clip.onnx"
    files = [run.work / "songs" / f"{number}.ogg" for number in range(run.sizes.songs)]
    files[0].parent.mkdir(exist_ok=True)
    for file in files:
        shutil.copyfile(run.bundle / "data" / "song.ogg", file)

    def answer(device):
        began = time.perf_counter()
        lines = run.program("leitmotif", "recognize", "--model", model, "--json", "--top", 9, "--device", device, *files).splitlines()
        seconds = time.perf_counter() - began
        answers = [{score["artist"]: score["probability"] for score in json.loads(line)["artists"]} for line in lines]
        if len(answers) != len(files):
            raise Failed(f"{len(answers)} answers to {len(files)} songs")
        return {"songs": len(files), "seconds": seconds}, answers[0]

    found, probabilities = {}, {}
    found["cpu"], probabilities["cpu"] = answer("cpu")
    if not run.on_gpu:
        return {**found, "cuda": {"skipped": str(NO_GPU)}}
    found["cuda"], probabilities["cuda"] = answer("cuda")
    found["largest_difference"] = max(abs(p - probabilities["cuda"][artist]) for artist, p in probabilities["cpu"].items())
    if not found["largest_difference"] <= SAME_SONG:
        found["error"] = "CUDA's probabilities are too far from the CPU's"
    return found


def ours(run, network, head, names, batches):
    """Clips a second, from the host's memory and back to it."""
    found = {}
    for name in names:
        form, options = RUNS[name]
        file = file_of(run, network, head, form)
        if not file.exists():
            raise Failed(f"there is no {file.name}")
        how = ("--device", run.sizes.device, "--batches", ",".join(map(str, batches)), "--seconds", run.sizes.serve_seconds)
        found[name] = without_memory_errors(run.json("serve", file, *how, *options))
    return found


def theirs(run, network, head, modes, batches):
    how = ("--device", run.sizes.device, "--batches", ",".join(map(str, batches)), "--seconds", run.sizes.serve_seconds)
    how += ("--modes", ",".join(modes))
    return without_memory_errors(run.peer("gpu_serve.py", checkpoint_of(run, network, head), *how, limit=run.ends - run.now() - 1))


def names_of(run):
    return [name for name in RUNS if run.on_gpu or "tf32" not in name]


def against_pytorch(run, network, head):
    sizes = run.sizes
    first = ours(run, network, head, names_of(run), sizes.batches)
    peer = theirs(run, network, head, sizes.serve_modes, sizes.batches)
    found = {"ours": first, "theirs": peer, "ours_to_theirs": ratios([first], peer)}
    answers = {name: served["first_answer_seconds"] for name, served in first.items()}
    found["first_answer_seconds"] = {"ours": answers, "theirs": peer.get("first_answer_seconds")}
    # After theirs once more, where there is time: the card's clock may have changed.
    if run.ends - run.now() > 15:
        found["ours, again"] = ours(run, network, head, ["fp32"], sizes.batches)
        found["ours_to_theirs"] = ratios([first, found["ours, again"]], peer)
    return found


def against_compiled(run, network, head):
    sizes = run.sizes
    first = ours(run, network, head, ["cuda, tf32", "fp16"], sizes.compiled_batches)
    peer = theirs(run, network, head, sizes.serve_compiled, sizes.compiled_batches)
    left = [mode for mode in sizes.serve_compiled if mode not in peer["modes"]]
    return {"ours": first, "theirs": peer, "ours_to_theirs": ratios([first], peer), "cut_off": left}


def ratios(runs, peer):
    """By our way to run, their mode and the batch: the median of our clips a second to theirs."""
    found = {}
    for name in runs[0]:
        speeds = [speeds_of(run[name]["batches"]) for run in runs if name in run]
        for mode, batches in peer["modes"].items():
            their = speeds_of(batches)
            ours = {batch: [own[batch] for own in speeds if batch in own] for batch in their}
            found.setdefault(name, {})[mode] = {batch: median(values) / their[batch] for batch, values in ours.items() if values}
    return found


def speeds_of(batches):
    return {str(of["batch"]): of["per_second"] for of in batches if "per_second" in of} if isinstance(batches, list) else {}


def without_memory_errors(value):
    """A batch that does not fit in memory is a finding, not a failure: `error` becomes `too_large`."""
    if isinstance(value, dict):
        return {"too_large" if key == "error" and "batch" in value else key: without_memory_errors(inner) for key, inner in value.items()}
    return [without_memory_errors(inner) for inner in value] if isinstance(value, list) else value
