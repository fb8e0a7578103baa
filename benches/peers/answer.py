"""Recognises a file of samples with Python's onnxruntime, as README shows, and prints the seconds: answer.py MODEL SAMPLES --threads N.

The median over some passes, after one warm-up pass; opening the model does not count.
"""

import argparse
import json
import statistics
import time

try:
    import numpy
    import onnxruntime
except ImportError as error:
    raise SystemExit(f"{error}: `make peers` installs it")

arguments = argparse.ArgumentParser()
arguments.add_argument("model")
arguments.add_argument("samples")
arguments.add_argument("--threads", type=int, default=1)
arguments.add_argument("--passes", type=int, default=3)
given = arguments.parse_args()

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = given.threads
session = onnxruntime.InferenceSession(given.model, options, providers=["CPUExecutionProvider"])
card = json.loads(session.get_modelmeta().custom_metadata_map["leitmotif"])
samples = numpy.fromfile(given.samples, "<f4")


def answer():
    """A `clip` graph takes everything at once; a `sequence` graph's windows are averaged, the last one if it is at least half full."""
    if card["graph"] == "clip":
        return session.run(["probabilities"], {"waveform": samples[None]})[0]
    segment, hop, window = card["segment_samples"], card["hop_samples"], card["window_segments"]
    segments = (len(samples) - segment) // hop + 1
    windows = []
    for first in range(0, segments, window):
        count = min(window, segments - first)
        if 2 * count >= window or not windows:
            part = samples[first * hop : (first + count - 1) * hop + segment]
            windows.append(session.run(["probabilities"], {"waveform": part[None]})[0])
    return numpy.mean(windows, axis=0)


answer()
seconds = []
for _ in range(given.passes):
    began = time.perf_counter()
    answer()
    seconds.append(time.perf_counter() - began)
print(statistics.median(seconds))
