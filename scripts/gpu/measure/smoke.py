"""Step 1, within a minute: what the box is, whether every library loads, and whether training and serving on it give right answers."""

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import box
from checkpoint import LAST, is_checkpoint
from outcome import NO_GPU, Failed
from training import arithmetic, fit, music, music_network, name_of

GRAPHS = {"dense": ("clip", "segment"), "lstm": ("sequence", "step")}
# A small rate, because Adam's first steps have the size of the rate and each gradient's sign, which near zero depends on rounding. Model 1
# with `ONEDNN_MAX_CPU_ISA=SSE41` departs on one CPU from the default within five steps by at most 1.4e-4 (dense) and 3.5e-5 (LSTM) at this
# rate, by 13 % and 1 % at 1e-3; of the first step, where only the forward pass counts, by 5e-7.
RATE, SAME = 1e-5, 1e-3


def smoke(run):
    warm = box.Warm(run)
    facts = (("machine", 10), ("bundle", 20), ("gpu", 20), ("libraries", 30), ("libtorch", 50), ("onnxruntime", 50))
    run.together([(name, limit, partial(getattr(box, name), run)) for name, limit in facts])
    run.together([(f"ten steps, {name_of(*pair)}", 50, partial(same_loss, run, *pair)) for pair in run.sizes.same])
    run.together([(f"opens {name_of(network, head)}.{graph}", 40, partial(opens, run, network, head, graph)) for network, head, graph in run.sizes.opened])
    run.part("page cache", 10, warm.found)


def same_loss(run, network, head):
    """Ten steps on the device and the first five on the CPU, from the same first values and clips."""

    precision, env = arithmetic("fp32")
    described = music_network(run, network, dropout=False)

    def losses(name, device, steps, *settings):
        settings = ("--network", described, "--head", head, "--batch", run.sizes.same_batch, "--epochs", steps, "--steps", 1, "--rate", RATE, *precision, *settings)
        rows, _ = fit(run, music(run), run.work / f"{name}-{name_of(network, head)}", *settings, device=device, env=env)
        return [row["loss"] for row in rows]

    # The second one's checkpoint is what the graphs are compiled from.
    name, device, settings = ("cuda", "cuda", ()) if run.on_gpu else ("cpu, one thread", "cpu", ("--threads", 1))
    with ThreadPoolExecutor(1) as pool:
        on_cpu = pool.submit(run.as_part(losses), "same-cpu", "cpu", run.sizes.same_steps_cpu)
        theirs = losses("smoke", device, run.sizes.same_steps, *settings)
        cpu = on_cpu.result()
    differences = [abs(a - b) / abs(a) for a, b in zip(cpu, theirs)]
    found = {"losses": {"cpu": cpu, name: theirs}, "relative_differences": differences, "rate": RATE, "tolerance": SAME}
    if not run.on_gpu:
        found["cuda"] = {"skipped": str(NO_GPU)}
    if not max(differences) <= SAME:
        found["error"] = f"{name} is too far from the CPU: {max(differences):.1e}"
    return found


def opens(run, network, head, graph):
    """Compiles the checkpoint of the ten steps, compares a graph with libtorch's probe and the CPU, and lists where its nodes ran."""
    checkpoint, name = run.work / f"smoke-{name_of(network, head)}" / LAST, f"smoke-{name_of(network, head)}-{graph}"
    if not is_checkpoint(checkpoint):
        raise Failed("there is no checkpoint: the ten steps make it")
    made = run.json("leitmotif-export", "compile", checkpoint, "--out", run.work / "models", "--name", name, "--force", "--json")
    model = run.work / "models" / f"{name}.{graph}.onnx"
    found = {"cpu": made["graphs"][GRAPHS[head].index(graph)]}
    found["cuda"] = on_device(run, model, checkpoint, "cuda") if run.on_gpu else {"skipped": str(NO_GPU)}
    served = run.json("serve", model, "--device", run.sizes.device, "--batches", 1, "--seconds", 0, "--placement", "--against-cpu")
    elsewhere = {provider: nodes for provider, nodes in served["placement"].items() if not provider.lower().startswith(run.sizes.device)}
    of_serve = ("opened_seconds", "first_answer_seconds", "placement", "largest_difference_to_cpu")
    return {**found, "not_on_device": elsewhere, **{key: served[key] for key in of_serve}}


def on_device(run, model, checkpoint, device, *how):
    """Parity with the probe; a failure is recorded, so that the placement is still found."""
    try:
        return run.json("leitmotif-export", "verify", model, checkpoint, "--device", device, *how, "--json")["graphs"][0]
    except Failed as error:
        return {"error": str(error)}
