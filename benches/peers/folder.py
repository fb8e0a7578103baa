"""Recognises every file of a folder as a Python user would write it: soundfile, soxr to 16 kHz, onnxruntime: folder.py MODEL FOLDER --threads N.

One file after the other, each through the `clip` graph at once; the session has the threads.
"""

import argparse
from pathlib import Path

try:
    import numpy
    import onnxruntime
    import soundfile
    import soxr
except ImportError as error:
    raise SystemExit(f"{error}: `make peers` installs it")

arguments = argparse.ArgumentParser()
arguments.add_argument("model")
arguments.add_argument("folder", type=Path)
arguments.add_argument("--threads", type=int, default=2)
given = arguments.parse_args()

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = given.threads
session = onnxruntime.InferenceSession(given.model, options, providers=["CPUExecutionProvider"])
for file in sorted(given.folder.iterdir()):
    samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
    mono = soxr.resample(samples.mean(axis=1), rate, 16_000).astype(numpy.float32)
    probabilities = session.run(["probabilities"], {"waveform": mono[None]})[0]
    print(file.name, int(probabilities.argmax()))
