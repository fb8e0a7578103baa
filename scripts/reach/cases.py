"""What each file is given: a job is one file with calls of it, inputs as raw 32-bit floats in files beside.

    {"model": path, "inputs": names, "outputs": names, "calls": [{"feeds": {name: {"dims", "file"}}, "carry": {input: output}}],
     "form": {...}, "golden": probabilities due to the first call, "tolerance": …}

`carry` names inputs that take an output of the call before. The first call is the card's golden input, the others are of another
length and batch.
"""

import json

import numpy as np
import onnx


def noise(seed, samples):
    """The card's recipe."""
    state, made = seed, np.empty(samples, np.float32)
    for i in range(samples):
        state = (1664525 * state + 1013904223) % 2**32
        made[i] = 0.1 * (state - 2**32 if state >= 2**31 else state) / 2**31
    return made


def jobs_of(file, work):
    target, precision, graph, path = file
    model = onnx.load(path)
    card = json.loads(next(entry.value for entry in model.metadata_props if entry.key == "leitmotif"))

    def kept(name, values):
        if not (work / name).exists():
            (work / name).write_bytes(np.asarray(values(), "<f4").tobytes())
        return str(work / name)

    def feed(seed, *dims):
        count = int(np.prod(dims))
        return {"dims": dims, "file": kept(f"noise-{seed}-{count}.f32", lambda: noise(seed, count))}

    def state(batch):
        dims = (batch, card["embedding_units"])
        return {"dims": dims, "file": kept(f"zeros-{dims[0]}-{dims[1]}.f32", lambda: np.zeros(dims))}

    golden, segment, hop = card["golden"], card["segment_samples"], card["hop_samples"]
    seed, samples = golden["input"]["seed"], golden["input"]["samples"]
    if graph in ("clip", "sequence"):
        # Three segments and a rest that is not heard.
        longer = 2 * hop + segment + segment // 3
        calls = [{"feeds": {"waveform": feed(seed, 1, samples)}}, {"feeds": {"waveform": feed(seed + 1, 2, longer)}}]
    elif graph == "segment":
        calls = [{"feeds": {"waveform": feed(seed, 1, samples)}}, {"feeds": {"waveform": feed(seed + 1, 3, segment)}}]
    else:
        zeros = lambda batch: {"h": state(batch), "c": state(batch)}
        calls = [
            {"feeds": {"waveform": feed(seed, 1, samples), **zeros(1)}},
            {"feeds": {"waveform": feed(seed + 1, 2, segment), **zeros(2)}},
            {"feeds": {"waveform": feed(seed + 2, 2, segment)}, "carry": {"h": "h_next", "c": "c_next"}},
        ]
    return {
        "model": str(path),
        "inputs": [port.name for port in model.graph.input],
        "outputs": [port.name for port in model.graph.output],
        "calls": [{"carry": {}, **call} for call in calls],
        "form": {"target": target, "precision": precision, "graph": graph},
        "golden": golden["probabilities"],
        "tolerance": golden["tolerance"],
    }
