"""Step 4: compiles the trained networks for serving and compares speed and answers with PyTorch's and the CPU's."""

import json
import shutil
import time
from functools import partial
from statistics import median

from background import preset
from outcome import NO_GPU, Failed, Skipped
from smoke import GRAPHS, on_device
from training import checkpoint_of, name_of, parameters

# Files, and how they are opened.
FORMS = {"portable": (), "cuda": ("--target", "cuda"), "cuda-fp16": ("--target", "cuda", "--precision", "fp16")}
RUNS = {"fp32": ("portable", ()), "tf32": ("portable", ("--tf32",)), "fp16": ("cuda-fp16", ())}
# The trial whose graph is that of the compiler.
AS_IS = "as-it-is.clip.onnx"
# What ours take at most to be measured once more.
OURS_SECONDS = 8
# Probabilities of a song on two devices.
SAME_SONG = 1e-4


def serve(run):
    run.part("limits", 20, lambda: limits(run))
    sizes = run.sizes
    first, *others = sizes.served
    wanted = {(network, head, RUNS[way][0]): None for network, head, ways in (*sizes.served, *sizes.served_alone) for way in ways}
    forms = [(f"{name_of(network, head)}, {form}", 40, partial(compiled, run, network, head, form)) for network, head, form in wanted]
    run.together([*forms, ("ten songs", 60, lambda: songs(run))])
    run.part(f"{name_of(*first[:2])} against PyTorch", 60, lambda: against_pytorch(run, *first))
    if sizes.serve_compiled:
        run.part(f"{name_of(*first[:2])} against torch.compile", 60, lambda: against_compiled(run, *first, sizes.compiled_batches))
    *dissections, last = where(run, *first[:2])
    for name, files, options in dissections:
        run.part(f"where the time goes, {name}", 60, lambda: dissect(run, files, *options))
    for served in others[:1]:
        run.part(f"{name_of(*served[:2])} against PyTorch", 50, lambda: against_pytorch(run, *served))
    for served in sizes.served_alone:
        run.part(f"{name_of(*served[:2])} alone", 30, lambda: {"ours": ours(run, *served, sizes.batches)})
    for served in others[1:]:
        run.part(f"{name_of(*served[:2])} against PyTorch", 50, lambda: against_pytorch(run, *served))
    name, files, options = last
    run.part(f"where the time goes, {name}", 60, lambda: dissect(run, files, *options))
    run.peers.stop("serve")


def where(run, network, head):
    """Files, options of ONNX Runtime and what is listed, most telling first."""
    own = file_of(run, network, head, "cuda-fp16" if run.on_gpu else "portable")
    trials = sorted((run.bundle / "trials").glob("*.onnx"))
    as_is, others = ([file for file in trials if (file.name == AS_IS) == same] for same in (True, False))
    ways = ("--way", "nhwc", "--way", "nhwc,fuse")
    if not run.on_gpu:  # One for all of them: they take long.
        as_is, others = as_is[:0], others[:1]
    alone = "--network-alone"
    return (
        ("options", [own], (*ways, "--way", "nhwc,fuse,first", "--way", "nhwc,fuse,little")),
        ("nodes", [own], (*ways, alone, "--nodes")),
        ("other graphs", [*as_is, *others], (*ways, alone)),
        ("nodes of other graphs", others, ("--way", "nhwc,fuse", alone, "--nodes")),
    )


def dissect(run, files, *options):
    # Else a node would end before its kernels.
    env = {"CUDA_LAUNCH_BLOCKING": "1"} if "--nodes" in options else {}
    how = ("--device", run.sizes.device, "--batch", run.sizes.dissected, "--seconds", run.sizes.serve_seconds / 2)
    return run.json("dissect", *files, *how, *options, env=env)


def limits(run):
    """The highest speeds that the card and its bus reach, as limits of the measured ones."""
    if not run.on_gpu:
        raise NO_GPU
    return run.peers.get("serve").ask(card=True)


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


def against_pytorch(run, network, head, ways):
    sizes = run.sizes
    first = ours(run, network, head, ways, sizes.batches)
    found = {"ours": first, "theirs": theirs(run, "serve", network, head, sizes.serve_modes, sizes.peer_batches)}
    found["ours_to_theirs"] = ratios([first], found["theirs"])
    found["first_answer_seconds"] = {name: served["first_answer_seconds"] for name, served in first.items()}
    found["cut_off"] = [mode for mode in sizes.serve_modes if mode not in found["theirs"]["modes"]]
    return found


def against_compiled(run, network, head, ways, batches):
    """Each compiled mode, and then ours again: the card's clock may have changed since the part before."""
    sizes, modes, failures = run.sizes, {}, {}
    # Those that still compile come last.
    for mode in sorted(sizes.serve_compiled, key=lambda mode: f"serve {mode}" in run.peers.preparing()):
        try:
            modes[mode] = theirs(run, f"serve {mode}", network, head, [mode], batches, spare=OURS_SECONDS)
        except Failed as error:
            failures[mode] = {"failure": str(error)}
    if not modes:
        raise Skipped(json.dumps(failures))
    found = {"theirs": {**modes, **failures}}
    again = ours(run, network, head, [way for way in ways if way != "fp32"], batches)
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
