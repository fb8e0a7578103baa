"""Trains a preset on noise in PyTorch, eager, and prints the seconds of one step: step.py PRESET HEAD --threads N --layout 1d|2d.

The median of some steps after one that warms up. The same layers, batch, loss and optimizer as `leitmotif-train fit`. `1d` is what one writes (Conv1d); `2d` is leitmotif's own layout:
segments on the height axis of 1×k convolutions, channels last.
"""

import argparse
import statistics
import time
import tomllib
from pathlib import Path

try:
    import torch
    from torch import nn
except (ImportError, OSError) as error:
    raise SystemExit(f"{error}: `make peers` brings PyTorch and all of CUDA, which importing it insists on")

# As leitmotif-benches: clips in a batch, and classes where the description names none.
BATCH, CLASSES = 2, 9

arguments = argparse.ArgumentParser()
arguments.add_argument("preset")
arguments.add_argument("head", choices=["dense", "lstm"])
arguments.add_argument("--threads", type=int, default=2)
arguments.add_argument("--steps", type=int, default=3)
arguments.add_argument("--layout", choices=["1d", "2d"], default="1d")
given = arguments.parse_args()


class Network(nn.Module):
    def __init__(self, described, head, flat):
        super().__init__()
        layers, channels = [], 1
        for block in described["blocks"]:
            kernel, stride, pool = block.get("kernel", 3), block.get("stride", 1), block.get("pool", 1)
            padding = block.get("padding", (kernel - 1) // 2 if stride == 1 else 0)
            filters = block["filters"]
            norm = {"eps": 1e-3, "momentum": 0.01}
            if flat:
                layers.append(nn.Conv1d(channels, filters, kernel, stride, padding, bias=False))
                layers += [nn.BatchNorm1d(filters, **norm), nn.ReLU(inplace=True)]
            else:
                layers.append(nn.Conv2d(channels, filters, (1, kernel), (1, stride), (0, padding), bias=False))
                layers += [nn.BatchNorm2d(filters, **norm), nn.ReLU(inplace=True)]
            if pool > 1:
                layers.append(nn.MaxPool1d(pool) if flat else nn.MaxPool2d((1, pool)))
            channels = filters
        self.convolutions = nn.Sequential(*layers)
        self.flat, self.channels, units = flat, channels, described["head"]["units"]
        self.lstm = nn.LSTM(channels, units, batch_first=True) if head == "lstm" else None
        self.dense = nn.Sequential(nn.Linear(channels, units, bias=False), nn.BatchNorm1d(units, **norm), nn.Tanh())
        self.output = nn.Linear(units, described.get("classes", CLASSES))

    def forward(self, segments):
        """f32 [clips, segments, samples] -> logits, one row a segment (dense) or a clip (LSTM)."""
        clips, count, samples = segments.shape
        if self.flat:
            x = self.convolutions(segments.reshape(clips * count, 1, samples)).flatten(1)
        else:
            x = segments.reshape(clips, 1, count, samples).to(memory_format=torch.channels_last)
            x = self.convolutions(x).permute(0, 2, 3, 1).reshape(clips * count, self.channels)
        if self.lstm is None:
            return self.output(self.dense(x))
        return self.output(self.lstm(x.reshape(clips, count, -1))[0][:, -1])


torch.set_num_threads(given.threads)
torch.manual_seed(1)
presets = Path(__file__).resolve().parent.parent.parent / "models" / "presets"
described = tomllib.loads((presets / f"{given.preset}.toml").read_text())
network = Network(described, given.head, given.layout == "1d")
if given.head == "lstm":
    del network.dense
if given.layout == "2d":
    network = network.to(memory_format=torch.channels_last)
optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, eps=1e-7)
loss_of = nn.CrossEntropyLoss()
segments = 0.2 * torch.rand(BATCH, described["window"], described["segment"]) - 0.1
targets = torch.arange(BATCH)
if given.head == "dense":
    targets = targets.repeat_interleave(described["window"])

seconds = []
for step in range(given.steps + 1):
    began = time.perf_counter()
    optimizer.zero_grad()
    logits = network(segments)
    loss = loss_of(logits, targets)
    loss.backward()
    optimizer.step()
    right = (logits.argmax(-1) == targets).sum().item()
    assert loss.item() == loss.item(), "the loss is no number"
    if step >= 1:
        seconds.append(time.perf_counter() - began)
print(statistics.median(seconds))
