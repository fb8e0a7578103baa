"""Compares what leitmotif-export compiles with what PyTorch's own exporter writes of the same weights, in one ONNX Runtime.

    PYTHONPATH=.deps/site-packages:.deps/peers python3 benches/peers/torch_onnx.py target/release/leitmotif-export [RESULTS.jsonl [HEAD]]

A seeded model 1 (models/presets/model1.toml, both heads) with random batch-norm statistics is built in PyTorch, exported with
torch.onnx (dynamo), quantised with onnxruntime's own Python quantizer, saved as a checkpoint and compiled by us: the dense head
a segment a row, the LSTM a window of seven segments a row, judged by what it says of the last. The files then run in turns in the same onnxruntime with the same threads: in every round each of them once, in an order that changes. Ratios
are medians over the rounds of (theirs / ours); above 1 we are faster. Both kinds of seconds are told: of the clock, which
other programs on the machine disturb, and of the processor, which they disturb less (spinning is off for that).
Sizes, and nodes after ONNX Runtime's optimiser, are told too. Everything is written to a temporary folder.
"""

import json
import os
import resource
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import tomllib
import wave

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
SEED, EPSILON, ROUNDS = 6, 1e-3, 9
PRESET = tomllib.load(open(os.path.join(ROOT, "models/presets/model1.toml"), "rb"))
SEGMENT, CLASSES, UNITS, WINDOW = PRESET["segment"], PRESET["classes"], PRESET["head"]["units"], PRESET["window"]
HEADS = ("dense", "lstm")


class SampleCnn(torch.nn.Module):
    """`[rows, SEGMENT]`, or with an LSTM `[rows, WINDOW · SEGMENT]`, to probabilities, logits and embedding of every segment."""

    def __init__(self, head):
        super().__init__()
        self.head = head
        blocks, channels = [], 1
        for block in PRESET["blocks"]:
            stride, filters = block.get("stride", 1), block["filters"]
            padding = 1 if stride == 1 else 0
            layers = [torch.nn.Conv1d(channels, filters, 3, stride, padding, bias=False), torch.nn.BatchNorm1d(filters, EPSILON), torch.nn.ReLU()]
            layers += [torch.nn.MaxPool1d(block["pool"])] if block.get("pool", 1) > 1 else []
            blocks.append(torch.nn.Sequential(*layers))
            channels = filters
        self.blocks = torch.nn.Sequential(*blocks)
        if head == "dense":
            self.dense, self.norm = torch.nn.Linear(channels, UNITS, bias=False), torch.nn.BatchNorm1d(UNITS, EPSILON)
        else:
            self.lstm = torch.nn.LSTM(channels, UNITS, batch_first=True)
        self.output = torch.nn.Linear(UNITS, CLASSES)

    def forward(self, waveform):
        features = self.blocks(waveform.reshape(-1, 1, SEGMENT)).squeeze(2)
        if self.head == "dense":
            embedding = torch.tanh(self.norm(self.dense(features)))
        else:
            embedding, _ = self.lstm(features.reshape(-1, WINDOW, features.shape[-1]))
        logits = self.output(embedding)
        return torch.softmax(logits, -1), logits, embedding

    def row(self):
        return SEGMENT if self.head == "dense" else WINDOW * SEGMENT


def seeded(head):
    torch.manual_seed(SEED)
    model = SampleCnn(head).eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm1d):
                module.weight.uniform_(0.5, 1.5), module.bias.uniform_(-0.2, 0.2)
                module.running_mean.uniform_(-0.1, 0.1), module.running_var.uniform_(0.1, 0.4)
    return model


def golden(samples, seed=1):
    state, values = seed, np.empty(samples, np.float32)
    for i in range(samples):
        state = (1664525 * state + 1013904223) % 2**32
        values[i] = 0.1 * (state - 2**32 if state >= 2**31 else state) / 2**31
    return values


def noise(samples, seed):
    """Pink, as music is nearly: the loud feature maps that calibration looks for are there."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(samples))
    pink = np.fft.irfft(spectrum / np.sqrt(np.arange(1, len(spectrum) + 1)), samples)
    return (0.3 * pink / np.abs(pink).max()).astype(np.float32)


def save_safetensors(path, tensors):
    header, offset = {}, 0
    for name, tensor in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [offset, offset + tensor.nbytes]}
        offset += tensor.nbytes
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(np.ascontiguousarray(t, "<f4").tobytes() for t in tensors.values()))


def save_checkpoint(model, folder):
    """As leitmotif-train would have saved it."""
    os.makedirs(folder)
    state = {name: tensor.numpy() for name, tensor in model.state_dict().items() if "num_batches" not in name}
    names = {"output.weight": "output.weight", "output.bias": "output.bias"}
    if model.head == "dense":
        names["dense.weight"] = "dense.weight"
    else:
        names |= {f"lstm.{part}_l0": f"lstm.{part}" for part in ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]}
    norms = [("norm", "dense.norm")] if model.head == "dense" else []
    for i in range(len(PRESET["blocks"])):
        names[f"blocks.{i}.0.weight"] = f"block{i + 1}.conv.weight"
    for norm, ours in [(f"blocks.{i}.1", f"block{i + 1}.norm") for i in range(len(PRESET["blocks"]))] + norms:
        names |= {f"{norm}.{part}": f"{ours}.{part}" for part in ["weight", "bias", "running_mean", "running_var"]}
    save_safetensors(f"{folder}/weights.safetensors", {ours: state[theirs] for theirs, ours in names.items()})
    waveform = golden(WINDOW * SEGMENT)
    with torch.no_grad():
        _, logits, embedding = model(torch.from_numpy(waveform.reshape(-1, model.row())))
    of_segments = {"logits": logits.numpy().reshape(1, WINDOW, -1), "embedding": embedding.numpy().reshape(1, WINDOW, -1)}
    save_safetensors(f"{folder}/probe.safetensors", {"waveform": waveform[None], **of_segments})
    block = lambda b: {"filters": b["filters"], "kernel": 3, "stride": b.get("stride", 1), "padding": 1 if b.get("stride", 1) == 1 else 0, "pool": b.get("pool", 1)}
    network = {key: PRESET[key] for key in ["name", "description", "segment", "window"]}
    network |= {"head": {"kind": model.head, "units": UNITS}, "hop": SEGMENT, "blocks": [block(b) for b in PRESET["blocks"]]}
    record = {
        "version": 1, "network": network, "classes": [f"Artist {i}" for i in range(CLASSES)], "epoch": 0, "step": 0, "seed": SEED,
        "dataset": {"name": "none", "licence": "", "notes": "seeded random weights", "clips": 0, "songs": 0},
        "split": {"protocol": "song", "seed": 1, "test_share": 0.0, "validation_share": 0.0},
        "golden": {"seed": 1, "samples": WINDOW * SEGMENT}, "tools": {"torch": torch.__version__}, "config": {},
    }
    json.dump(record, open(f"{folder}/run.json", "w"))


def save_music(folder, files):
    os.makedirs(folder)
    for seed in range(files):
        with wave.open(f"{folder}/{seed:02}.wav", "wb") as file:
            file.setnchannels(1), file.setsampwidth(2), file.setframerate(16000)
            file.writeframes((noise(WINDOW * SEGMENT, seed) * 32767).astype("<i2").tobytes())


class Reader(CalibrationDataReader):
    def __init__(self, row):
        self.rows = iter([{"waveform": noise(WINDOW * SEGMENT, seed).reshape(-1, row)} for seed in range(0, 8, 2)])

    def get_next(self):
        return next(self.rows, None)


def session(path, threads, optimised=None):
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if optimised:
        options.optimized_model_filepath = optimised
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def processor_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def compare(files, head, segments, threads):
    """`files`: name to path, and to the row that it takes; the answers that are compared are `[recordings or segments, CLASSES]`."""
    runs = {}
    samples = noise(segments * SEGMENT, 77)
    for name, (path, row, output) in files.items():
        opened = session(path, threads)
        feed = {"waveform": samples.reshape(-1, row)}
        # torch.onnx's LSTM says something of every segment, and ours is asked for the last alone.
        runs[name] = lambda opened=opened, output=output, feed=feed: opened.run([output], feed)[0]
    last = (lambda answer: answer.reshape(segments // WINDOW, -1, CLASSES)[:, -1]) if head == "lstm" else (lambda answer: answer.reshape(segments, CLASSES))
    answers = {name: last(run()) for name, run in runs.items()}
    seconds = {name: [] for name in runs}
    for turn in range(ROUNDS):
        for name in list(runs) if turn % 2 else list(runs)[::-1]:
            clock, processor = time.perf_counter(), processor_seconds()
            runs[name]()
            seconds[name].append((time.perf_counter() - clock, processor_seconds() - processor))
    for name in runs:
        for base in ["torch.onnx fp32", "onnxruntime int8"]:
            if name == base or (base == "onnxruntime int8" and "int8" not in name):
                continue
            line = {"head": head, "segments": segments, "threads": threads, "ours": name, "theirs": base, "rounds": ROUNDS}
            for kind, which in enumerate(["clock", "processor"]):
                ratios = [t[kind] / o[kind] for t, o in zip(seconds[base], seconds[name])]
                line[which] = {"ratio": statistics.median(ratios), "least": min(ratios), "most": max(ratios), "ours_ms": 1e3 * statistics.median(o[kind] for o in seconds[name])}
            line["largest_dp"] = float(np.abs(answers[name] - answers[base]).max())
            yield line


def exported(model, folder):
    """torch.onnx's file, and what onnxruntime's quantizer makes of it."""
    theirs, quantised = f"{folder}/torch.onnx", f"{folder}/quantised.onnx"
    batch = {0: torch.export.Dim("batch", min=1, max=4096)}
    torch.onnx.export(model, (torch.zeros(2, model.row()),), theirs, dynamo=True, external_data=False, input_names=["waveform"],
                      output_names=["probabilities", "logits", "embedding"], dynamic_shapes=(batch,), verbose=False)
    quantize_static(theirs, quantised, Reader(model.row()), quant_format=QuantFormat.QDQ, per_channel=True,
                    activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
    return theirs, quantised


def measure(exporter, head, folder):
    os.makedirs(folder)
    model = seeded(head)
    save_checkpoint(model, f"{folder}/checkpoint")
    save_music(f"{folder}/music", 8)
    theirs, quantised = exported(model, folder)
    began = time.perf_counter()
    compiled = {}
    for form in ["fp32 portable", "fp32 cpu", "fp16 portable", "int8 cpu", "int8 portable"]:
        precision, target = form.split()
        out = f"{folder}/{precision}-{target}"
        extra = ["--calibrate", f"{folder}/music", "--allow-loss"] if precision == "int8" else []
        subprocess.run([exporter, "compile", f"{folder}/checkpoint", "--out", out, "--name", "m", "--precision", precision, "--target", target, *extra],
                       check=True, stdout=subprocess.DEVNULL)
        compiled[form] = out
    yield {"head": head, "compiling_all_s": time.perf_counter() - began}

    one = "segment" if head == "dense" else "sequence"
    for name, path in ({"torch.onnx fp32": theirs, "onnxruntime int8": quantised} | {form: f"{out}/m.{one}.onnx" for form, out in compiled.items()}).items():
        session(path, 1, f"{folder}/optimised.onnx")
        nodes = len(onnx.load(f"{folder}/optimised.onnx").graph.node)
        yield {"head": head, "file": name, "bytes": os.path.getsize(path), "nodes": len(onnx.load(path).graph.node), "nodes_after_optimiser": nodes}
    for segments, threads in [(7, 2), (1, 1), (32, 2)] if head == "dense" else [(WINDOW, 1), (WINDOW, 2), (4 * WINDOW, 2)]:
        # A recording for `clip`, a segment for `segment`, windows side by side for `sequence`.
        graph, row, output = ("sequence", WINDOW * SEGMENT, "probabilities")
        if head == "dense":
            graph, row, output = ("clip", segments * SEGMENT, "segment_probabilities") if segments > 1 else ("segment", SEGMENT, "probabilities")
        files = {"torch.onnx fp32": (theirs, model.row(), "probabilities"), "onnxruntime int8": (quantised, model.row(), "probabilities")}
        files |= {form: (f"{compiled[form]}/m.{graph}.onnx", row, output) for form in ["fp32 portable", "fp32 cpu", "int8 cpu"]}
        yield from compare(files, head, segments, threads)


def main(exporter, results=None, *heads):
    torch.set_num_threads(2)
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for head in heads or HEADS:
            lines += measure(os.path.abspath(exporter), head, f"{folder}/{head}")
    versions = {"onnxruntime": ort.__version__, "torch": torch.__version__, "onnx": onnx.__version__}
    for line in lines:
        print(json.dumps(line | {"versions": versions} if results is None else line))
    if results:
        with open(results, "a") as file:
            file.writelines(json.dumps(line | {"versions": versions}) + "\n" for line in lines)


if __name__ == "__main__":
    main(*sys.argv[1:])
