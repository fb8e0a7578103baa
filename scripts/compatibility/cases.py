"""The inputs of each model: a job is one file with calls of it; inputs are raw 32-bit floats in files beside it.

    {"model": path, "inputs": names, "outputs": names, "calls": [{"feeds": {name: {"dims", "file"}}, "carry": {input: output}}],
     "form": {...}, "golden": the expected probabilities of the first call, "tolerance": …}

`carry` names inputs that take an output of the previous call. The first call is the card's golden input, the others have another
length and batch.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx

sys.path.append(str(Path(__file__).resolve().parent.parent / "shared"))
from golden import golden_input  # noqa: E402


def jobs_of(file, work):
    target, precision, graph, path = file
    model = onnx.load(path)
    card = json.loads(next(entry.value for entry in model.metadata_props if entry.key == "leitmotif"))

    def stored(name, values):
        if not (work / name).exists():
            (work / name).write_bytes(np.asarray(values(), "<f4").tobytes())
        return str(work / name)

    def feed(seed, *dims):
        count = int(np.prod(dims))
        return {"dims": dims, "file": stored(f"noise-{seed}-{count}.f32", lambda: golden_input(seed, count))}

    def state(batch):
        dims = (batch, card["embedding_units"])
        return {"dims": dims, "file": stored(f"zeros-{dims[0]}-{dims[1]}.f32", lambda: np.zeros(dims))}

    golden, segment, hop = card["golden"], card["segment_samples"], card["hop_samples"]
    seed, samples = golden["input"]["seed"], golden["input"]["samples"]
    if graph in ("clip", "sequence"):
        # Three segments and a rest that is too short for another.
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
        "operators": sorted({node.op_type for node in model.graph.node}),
        "form": {"target": target, "precision": precision, "graph": graph},
        "golden": golden["probabilities"],
        "tolerance": golden["tolerance"],
    }
