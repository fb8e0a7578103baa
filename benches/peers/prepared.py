"""Reads a prepared data set: its lists and the samples of its clips."""

import csv

import numpy as np


def rows(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def samples(dataset, clip):
    shard = np.memmap(dataset / "shards" / f"{int(clip['shard']):05d}.pcm", dtype="<i2", mode="r")
    start = int(clip["offset"])
    return shard[start : start + int(clip["samples"])].astype(np.float32) / 32768
