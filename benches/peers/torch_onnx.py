"""Compares the files of leitmotif-export with those of PyTorch's own exporter, of the same weights in one ONNX Runtime.

    PYTHONPATH=.deps/site-packages:.deps/peers python3 benches/peers/torch_onnx.py target/release/leitmotif-export [RESULTS.jsonl [HEAD]]

A seeded model 1 (both heads) with random batch-norm statistics is built in PyTorch, exported with torch.onnx (dynamo), quantised with
onnxruntime's own Python quantizer, saved as a checkpoint and compiled by us: the dense head one segment a row, the LSTM a window of seven
segments a row, compared at the last one. The files then run alternately in the same onnxruntime with the same threads, each once a round,
in an order that changes. Ratios are medians over the rounds of theirs / ours; above 1 we are faster. They are given for seconds of the
clock, which other programs on the machine disturb, and of the processor, which they disturb less (spinning is off for that). Sizes, and
nodes after ONNX Runtime's optimiser, are given too. Everything is written to a temporary folder.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import wave

import numpy as np
import onnx
import onnxruntime as ort
import safetensors.torch
import torch
from network import Network, preset
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

# `network` has made the shared modules importable.
from checkpoint import PROBE, RECORD, WEIGHTS  # isort: skip
from golden import golden_input  # isort: skip

SEED, ROUNDS = 6, 9
PRESET = preset("model1", "dense")
SEGMENT, CLASSES, WINDOW = PRESET["segment"], PRESET["classes"], PRESET["window"]
HEADS = ("dense", "lstm")


class Exported(torch.nn.Module):
    """`[rows, SEGMENT]`, or with an LSTM `[rows, WINDOW · SEGMENT]`, to probabilities, logits and embedding of every segment."""

    def __init__(self, head):
        super().__init__()
        self.description = preset("model1", head)
        self.network = Network(self.description, CLASSES, flat=True)

    def forward(self, waveform):
        # Not the network's own `forward`: its reshapes for batches of clips would stay in the graph.
        network = self.network
        features = network.blocks(waveform.reshape(-1, 1, SEGMENT)).squeeze(2)
        if network.lstm:
            embedding, _ = network.head(features.reshape(-1, WINDOW, features.shape[-1]))
        else:
            embedding = torch.tanh(network.norm(network.head(features)))
        logits = network.output(embedding)
        return torch.softmax(logits, -1), logits, embedding

    def row(self):
        return WINDOW * SEGMENT if self.network.lstm else SEGMENT


def seeded(head):
    torch.manual_seed(SEED)
    model = Exported(head).eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm1d):
                module.weight.uniform_(0.5, 1.5), module.bias.uniform_(-0.2, 0.2)
                module.running_mean.uniform_(-0.1, 0.1), module.running_var.uniform_(0.1, 0.4)
    return model


def noise(samples, seed):
    """Pink noise: its spectrum is like that of music, so that calibration meets loud feature maps."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(samples))
    pink = np.fft.irfft(spectrum / np.sqrt(np.arange(1, len(spectrum) + 1)), samples)
    return (0.3 * pink / np.abs(pink).max()).astype(np.float32)


def save_checkpoint(model, folder):
    """As leitmotif-train would have saved it."""
    os.makedirs(folder)
    safetensors.torch.save_file({name: tensor.detach().contiguous() for name, tensor in model.network.tensors()}, f"{folder}/{WEIGHTS}")
    waveform = torch.from_numpy(golden_input(1, WINDOW * SEGMENT))
    with torch.no_grad():
        _, logits, embedding = model(waveform.reshape(-1, model.row()))
    probe = {"waveform": waveform[None], "logits": logits.reshape(1, WINDOW, -1), "embedding": embedding.reshape(1, WINDOW, -1)}
    safetensors.torch.save_file(probe, f"{folder}/{PROBE}")
    record = {
        "version": 1, "network": {key: value for key, value in model.description.items() if key != "classes"},
        "classes": [f"Artist {i}" for i in range(CLASSES)], "epoch": 0, "step": 0, "seed": SEED,
        "dataset": {"name": "none", "licence": "", "notes": "seeded random weights", "clips": 0, "songs": 0},
        "split": {"protocol": "song", "seed": 1, "test_share": 0.0, "validation_share": 0.0},
        "golden": {"seed": 1, "samples": WINDOW * SEGMENT}, "tools": {"torch": torch.__version__}, "config": {},
    }  # fmt: skip
    with open(f"{folder}/{RECORD}", "w") as file:
        json.dump(record, file)


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
        # torch.onnx's LSTM answers at every segment; of ours only the last answer is computed.
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
        # A recording for `clip`, a segment for `segment`, a batch of windows for `sequence`.
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
