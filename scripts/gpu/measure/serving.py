"""Steps 4 and 5: compiles the trained networks, compares every graph with the trainer on every provider, and measures serving."""

import json
from statistics import median

from checkpoint import LAST, is_checkpoint
from runner import NO_GPU, Failed
from training import HEADS, name_of

GRAPHS = {"dense": ("clip", "segment"), "lstm": ("sequence", "step")}
# Forms for CUDA besides the portable one, of the network that is served.
FORMS = {"cuda": ("--target", "cuda"), "cuda-fp16": ("--target", "cuda", "--precision", "fp16")}


def export(run):
    for name in ("demo-dense.clip", "demo-dense.segment", "demo-lstm.sequence", "demo-lstm.step"):
        run.part(f"self-test, {name}", 30, lambda: self_test(run, name))
    run.part("a real song", 40, lambda: song(run))
    checkpoints = [(f"music-{head}", head) for head in HEADS] + [(name_of(*pair), pair[1]) for pair in run.sizes.networks]
    for name, head in checkpoints:
        if made := run.part(f"compile, {name}", 40, lambda: compiled(run, name)):
            for graph, report in zip(GRAPHS[head], made["graphs"]):
                run.part(f"{name}.{graph}", 40, lambda: parity(run, name, f"{name}.{graph}", report))
    for head in HEADS:
        name, graph = name_of(run.sizes.networks[0][0], head), GRAPHS[head][0]
        for form, options in FORMS.items():
            if made := run.part(f"compile, {name}, {form}", 40, lambda: compiled(run, name, form, *options)):
                run.part(f"{name}-{form}.{graph}", 40, lambda: parity(run, name, f"{name}-{form}.{graph}", made["graphs"][0]))


def self_test(run, name):
    """A model of the bundle, on the golden answer of its card."""
    model = run.bundle / "models" / f"{name}.onnx"
    return json.loads(run.program("leitmotif", "check", model, "--device", run.sizes.device, "--json"))


def song(run):
    """One file through the shipped program, on the CPU and on the device."""
    model = run.bundle / "models" / "demo-dense.clip.onnx"

    def answer(device):
        out = run.program("leitmotif", "recognize", "--model", model, "--json", "--top", 9, "--device", device, run.bundle / "data" / "song.ogg")
        return {score["artist"]: score["probability"] for score in json.loads(out)["artists"]}

    cpu = answer("cpu")
    found = {"cpu": cpu}
    if not run.on_gpu:
        return {**found, "cuda": {"skipped": str(NO_GPU)}}
    cuda = answer("cuda")
    largest = max(abs(p - cuda[artist]) for artist, p in cpu.items())
    if largest > 1e-4:
        raise Failed(f"CUDA's probabilities are {largest:.1e} from the CPU's")
    return {**found, "cuda": cuda, "largest_difference": largest}


def compiled(run, name, form=None, *options):
    """Compiles a checkpoint; the compiler compares with libtorch on the CPU provider."""
    checkpoint = run.work / name / LAST
    if not is_checkpoint(checkpoint):
        raise Failed("there is no checkpoint: the step `train` makes it")
    called = f"{name}-{form}" if form else name
    return json.loads(run.program("leitmotif-export", "compile", checkpoint, *options, "--out", run.work / "models", "--name", called, "--force", "--json"))


def parity(run, name, file, on_cpu):
    """Compares one graph with libtorch's answers on each provider, and lists where its nodes ran; the compiler did the CPU."""
    model, checkpoint = run.work / "models" / f"{file}.onnx", run.work / name / LAST

    def on_cuda(*how):
        if not run.on_gpu:
            return {"skipped": str(NO_GPU)}
        try:
            return json.loads(run.program("leitmotif-export", "verify", model, checkpoint, "--device", "cuda", *how, "--json"))["graphs"][0]
        except Failed as error:  # With TF32 it may pass, or only without.
            return {"error": str(error)}

    served = json.loads(run.program("serve", model, "--device", run.sizes.device, "--batches", 1, "--seconds", 0, "--placement", "--against-cpu"))
    return {
        "cpu": on_cpu, "cuda": on_cuda(), "cuda, tf32": on_cuda("--tf32"),
        "placement": served["placement"], "largest_difference_to_cpu": served["largest_difference_to_cpu"],
    }  # fmt: skip


def serve(run):
    network = run.sizes.networks[0][0]
    for head in HEADS:
        run.part(name_of(network, head), 90, lambda: against_pytorch(run, network, head))
    for head in HEADS:
        run.part(f"forms of {name_of(network, head)}", 60, lambda: forms(run, network, head))


def against_pytorch(run, network, head):
    """Clips a second, ours and PyTorch's alternately, from the host's memory and back to it."""
    name = name_of(network, head)
    model = run.work / "models" / f"{name}.{GRAPHS[head][0]}.onnx"
    if not model.exists():
        raise Failed("there is no model: the step `export` makes it")
    batches, device = ",".join(map(str, run.sizes.batches)), run.sizes.device
    common = ("--device", device, "--batches", batches, "--seconds", run.sizes.serve_seconds)
    ours, theirs = [], []
    for _ in range(run.sizes.rounds):
        ours.append(json.loads(run.program("serve", model, *common)))
        theirs.append(run.peer("gpu_serve.py", run.work / name / LAST, *common, "--modes", ",".join(run.sizes.precisions)))
    tf32 = json.loads(run.program("serve", model, *common, "--tf32")) if run.on_gpu else {"skipped": str(NO_GPU)}
    ratios = {}
    for mode in run.sizes.precisions:
        for our, their in zip(ours, theirs):
            for a, b in zip(our["batches"], their["modes"][mode]):
                if "error" not in a and "error" not in b:
                    ratios.setdefault(mode, {}).setdefault(str(a["batch"]), []).append(a["per_second"] / b["per_second"])
    medians = {mode: {batch: median(values) for batch, values in of_mode.items()} for mode, of_mode in ratios.items()}
    return {
        "ours_to_theirs": medians, "first_answer_seconds": {"ours": [o["first_answer_seconds"] for o in ours], "theirs": [t["first_answer_seconds"] for t in theirs]},
        "ours": without_memory_errors(ours), "ours, tf32": without_memory_errors(tf32), "theirs": without_memory_errors(theirs),
    }  # fmt: skip


def forms(run, network, head):
    """The gain from compiling for CUDA, and from fp16: clips a second of each form relative to the portable one, alternately."""
    name, graph = name_of(network, head), GRAPHS[head][0]
    files = {form: run.work / "models" / f"{name}-{form}.{graph}.onnx" for form in FORMS}
    files = {"portable": run.work / "models" / f"{name}.{graph}.onnx", **files}
    if missing := [form for form, file in files.items() if not file.exists()]:
        raise Failed(f"there is no model for {', '.join(missing)}: the step `export` makes it")
    common = ("--device", run.sizes.device, "--batches", ",".join(map(str, run.sizes.batches)), "--seconds", run.sizes.serve_seconds)
    served = {form: [] for form in files}
    for _ in range(run.sizes.rounds):
        for form, file in files.items():
            served[form].append(json.loads(run.program("serve", file, *common)))
    ratios = {form: {} for form in FORMS}
    for form in FORMS:
        for ours, portable in zip(served[form], served["portable"]):
            for a, b in zip(ours["batches"], portable["batches"]):
                if "error" not in a and "error" not in b:
                    ratios[form].setdefault(str(a["batch"]), []).append(a["per_second"] / b["per_second"])
    medians = {form: {batch: median(values) for batch, values in of_form.items()} for form, of_form in ratios.items()}
    return {"to_portable": medians, "served": without_memory_errors(served)}


def without_memory_errors(value):
    """A batch that does not fit in memory is a finding, not a failure: `error` becomes `too_large`."""
    if isinstance(value, dict):
        return {"too_large" if key == "error" and "batch" in value else key: without_memory_errors(inner) for key, inner in value.items()}
    return [without_memory_errors(inner) for inner in value] if isinstance(value, list) else value
