"""Decodes a file, mixes it to mono and resamples it to 16 kHz as Python programs usually do: with soundfile and soxr.

Prints the seconds of a second pass: the interpreter's start and the first imports do not count.
"""

import sys
import time

import numpy
import soundfile
import soxr


def decode(path: str) -> int:
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1, dtype=numpy.float32)
    return len(mono if rate == 16_000 else soxr.resample(mono, rate, 16_000))


decode(sys.argv[1])
began = time.perf_counter()
decode(sys.argv[1])
print(time.perf_counter() - began)
