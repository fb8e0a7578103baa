"""Batches of our data set for PyTorch."""

import csv
import queue
import threading
from pathlib import Path

import numpy
import torch


class Feed:
    """Batches of our data set in random order, two ahead, as our own trainer reads them."""

    def __init__(self, folder, split, checkpoint, batch, device):
        folder = Path(folder)
        parts = {row["clip"]: row["part"] for row in rows(folder / "splits" / f"{split}.csv")}
        self.clips = [row for row in rows(folder / "clips.csv") if parts.get(row["clip"]) == "train"]
        shards = sorted((folder / "shards").glob("*.pcm"))
        self.shards = [numpy.memmap(shard, dtype="<i2", mode="r") for shard in shards]
        self.checkpoint, self.batch, self.device = checkpoint, batch, device
        self.class_of = {name: number for number, name in enumerate(checkpoint.classes)}
        description = checkpoint.description
        self.samples = (description["window"] - 1) * description["hop"] + description["segment"]
        self.ready = queue.Queue(2)
        self.ended = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        random = numpy.random.default_rng(1)
        while not self.ended.is_set():
            # As 16-bit numbers, in memory that the GPU reads by itself: half of the bytes.
            waveforms = torch.empty((self.batch, self.samples), dtype=torch.int16, pin_memory=self.device == "cuda")
            chosen = random.integers(len(self.clips), size=self.batch)
            for waveform, number in zip(waveforms.numpy(), chosen):
                row = self.clips[number]
                begin = int(row["offset"])
                waveform[:] = self.shards[int(row["shard"])][begin : begin + self.samples]
            targets = torch.tensor([self.class_of[self.clips[number]["artist"]] for number in chosen])
            made = waveforms, targets.pin_memory() if self.device == "cuda" else targets
            while not self.ended.is_set():
                try:
                    self.ready.put(made, timeout=0.1)
                    break
                except queue.Full:
                    pass

    def next(self):
        waveforms, targets = (tensor.to(self.device, non_blocking=True) for tensor in self.ready.get())
        return self.checkpoint.segments(waveforms.float().div_(32768)).contiguous(), targets

    def end(self):
        self.ended.set()


def rows(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
