"""Trains a preset on noise in PyTorch, eager, and prints the seconds of one step: step.py PRESET HEAD --threads N --layout 1d|2d.

The median over some steps, after one warm-up step. The same layers, batch, loss and optimizer as `leitmotif-train fit`. `1d` is the usual
layout (Conv1d); `2d` is leitmotif's: segments on the height axis of 1×k convolutions, channels last.
"""

import argparse
import statistics
import time

try:
    import torch
    from network import Network, preset
except (ImportError, OSError) as error:
    raise SystemExit(f"{error}: `make peers` installs PyTorch and all of CUDA, which importing it needs")

# As leitmotif-benches: clips in a batch, and classes where the description gives none.
BATCH, CLASSES = 2, 9

arguments = argparse.ArgumentParser()
arguments.add_argument("preset")
arguments.add_argument("head", choices=["dense", "lstm"])
arguments.add_argument("--threads", type=int, default=2)
arguments.add_argument("--steps", type=int, default=3)
arguments.add_argument("--layout", choices=["1d", "2d"], default="1d")
given = arguments.parse_args()


torch.set_num_threads(given.threads)
torch.manual_seed(1)
description = preset(given.preset, given.head)
network = Network(description, description.get("classes", CLASSES), given.layout == "1d")
if given.layout == "2d":
    network = network.to(memory_format=torch.channels_last)
optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, eps=1e-7)
cross_entropy = torch.nn.CrossEntropyLoss()
segments = 0.2 * torch.rand(BATCH, description["window"], description["segment"]) - 0.1
targets = torch.arange(BATCH)
if given.head == "dense":
    targets = targets.repeat_interleave(description["window"])

seconds = []
for step in range(given.steps + 1):
    began = time.perf_counter()
    optimizer.zero_grad()
    # A row for every segment (dense) or clip (LSTM: its last segment).
    embedding = network.embedding(segments)
    logits = network.output(embedding[:, -1] if network.lstm else embedding.flatten(0, 1))
    loss = cross_entropy(logits, targets)
    loss.backward()
    optimizer.step()
    right = (logits.argmax(-1) == targets).sum().item()
    assert loss.item() == loss.item(), "the loss is not a number"
    if step >= 1:
        seconds.append(time.perf_counter() - began)
print(statistics.median(seconds))
