"""Step 4: compiles the trained networks for serving and compares speed and answers with PyTorch's and the CPU's."""

import json
import shutil
import time
from functools import partial
from statistics import median

from background import preset
from outcome import NO_GPU, Failed, Skipped, has_error
from smoke import GRAPHS, on_device
from training import HEADS, checkpoint_of, name_of, parameters

# Files, and how they are opened.
FORMS = {"portable": (), "cuda": ("--target", "cuda"), "cuda-fp16": ("--target", "cuda", "--precision", "fp16")}
RUNS = {"fp32": ("portable", ()), "tf32": ("portable", ("--tf32",)), "fp16": ("cuda-fp16", ())}
# What ours take at most to be measured once more.
OURS_SECONDS = 8
# Probabilities of a song on two devices.
SAME_SONG = 1e-4


def serve(run):
    run.part("limits", 20, lambda: limits(run))
    network = next(iter(run.sizes.steps))
    forms = [(f"{name_of(network, head)}, {form}", 40, partial(compiled, run, network, head, form)) for head in HEADS for form in FORMS]
    run.together([*forms, ("ten songs", 60, lambda: songs(run))])
    run.part(f"{name_of(network, 'dense')} against PyTorch", 60, lambda: against_pytorch(run, network, "dense"))
    prepared, late = run.sizes.compiled_batches, [batch for batch in run.sizes.peer_batches if batch not in run.sizes.compiled_batches]
    if run.sizes.serve_compiled:
        run.part(f"{name_of(network, 'dense')} against torch.compile", 60, lambda: against_compiled(run, network, prepared))
    run.part(f"{name_of(network, 'lstm')} against PyTorch", 50, lambda: against_pytorch(run, network, "lstm"))
    if run.sizes.serve_compiled:
        # It must still compile them.
        run.part(f"{name_of(network, 'dense')} against torch.compile, batch {max(late)}", 60, lambda: against_compiled(run, network, late))
    run.peers.stop("serve")
    # With what time is left.
    run.part("kernels", 40, lambda: kernels(run))


def limits(run):
    """The highest speeds that the card and its bus reach, as limits of the measured ones."""
    if not run.on_gpu:
        raise NO_GPU
    return run.peers.get("serve").ask(card=True)


def kernels(run):
    """Our fused kernels against libtorch's operators, where the bundle has them; a failure is recorded and does not end the run."""
    if not (run.bundle / "bin" / "kernels").exists():
        raise Skipped("the bundle has no program `kernels`")
    if not run.on_gpu:
        raise NO_GPU
    try:
        found = run.json("kernels", "--repeats", 5, "--calls", 3)
    except (Failed, ValueError) as error:
        return {"failure": str(error)}
    return {"failure": "see its answer", "answer": json.dumps(found)} if has_error(found) else found


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


def theirs(run, peer, network, head, modes, batches, spare=0):
    checkpoint = checkpoint_of(run, network, head)
    how = {"batches": batches, "seconds": run.sizes.serve_seconds}
    found = run.peers.get(peer).ask(file=preset(run, network), head=head, checkpoint=str(checkpoint), modes=modes, spare=spare, **how)
    if (count := found.get("parameters")) and count != (own := parameters(checkpoint)):
        found["error"] = f"the peer has {count} parameters, ours {own}"
    return without_memory_errors(found)


def names_of(run):
    return [name for name in RUNS if run.on_gpu or "tf32" not in name]


def against_pytorch(run, network, head):
    sizes = run.sizes
    first = ours(run, network, head, names_of(run), sizes.batches)
    found = {"ours": first, "theirs": theirs(run, "serve", network, head, sizes.serve_modes, sizes.peer_batches)}
    found["ours_to_theirs"] = ratios([first], found["theirs"])
    found["first_answer_seconds"] = {name: served["first_answer_seconds"] for name, served in first.items()}
    found["cut_off"] = [mode for mode in sizes.serve_modes if mode not in found["theirs"]["modes"]]
    return found


def against_compiled(run, network, batches):
    """Each compiled mode, and then ours again: the card's clock may have changed since the part before."""
    sizes, modes, failures = run.sizes, {}, {}
    # Those that still compile come last.
    for mode in sorted(sizes.serve_compiled, key=lambda mode: f"serve {mode}" in run.peers.preparing()):
        try:
            modes[mode] = theirs(run, f"serve {mode}", network, "dense", [mode], batches, spare=OURS_SECONDS)
        except Failed as error:
            failures[mode] = {"failure": str(error)}
    if not modes:
        raise Skipped(json.dumps(failures))
    found = {"theirs": {**modes, **failures}}
    again = ours(run, network, "dense", [name for name in names_of(run) if name != "fp32" or not run.on_gpu], batches)
    together = {mode: peer["modes"].get(mode) for mode, peer in modes.items()}
    return {**found, "ours": again, "ours_to_theirs": ratios([again], {"modes": together})}


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
