"""Makes the PyTorch fixtures beside it: a sample-level CNN as a PyTorch user writes it, seeded, with random batch-norm statistics.

    PYTHONPATH=.deps/site-packages:.deps/peers python3 export/tests/data/pytorch/make.py

torch 2.11.0, seed 6. Unlike ours, convolutions and the dense layer have biases, ε is PyTorch's 1e-5, the first convolution is
padded, and the last block's kernel is 1. Each head gives HEAD.safetensors (names as PyTorch chose them) and HEAD.probe.safetensors:
waveforms, the first of them the golden input, and the network's outputs. HEAD.toml, written by hand, maps the names.
"""

import sys
from pathlib import Path

import safetensors.torch
import torch

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parents[3] / "scripts" / "shared"))
from golden import golden_input  # noqa: E402

SEED, SEGMENT, WINDOW, CLASSES, UNITS = 6, 243, 3, 4, 5


class SampleCnn(torch.nn.Module):
    def __init__(self, head):
        super().__init__()
        block = lambda i, o, k, s, p, pool: torch.nn.Sequential(
            torch.nn.Conv1d(i, o, k, s, p), torch.nn.BatchNorm1d(o), torch.nn.ReLU(), *([torch.nn.MaxPool1d(pool)] if pool > 1 else [])
        )
        self.features = torch.nn.Sequential(block(1, 4, 3, 3, 1, 1), block(4, 4, 3, 1, 1, 3), block(4, 6, 3, 1, 1, 3), block(6, 6, 3, 1, 1, 3), block(6, 8, 1, 1, 0, 3))
        if head == "dense":
            self.fc, self.fc_bn = torch.nn.Linear(8, UNITS), torch.nn.BatchNorm1d(UNITS)
        else:
            self.rnn = torch.nn.LSTM(8, UNITS, batch_first=True)
        self.classifier = torch.nn.Linear(UNITS, CLASSES)

    def forward(self, segments):  # [clips, segments, samples]
        clips, count, _ = segments.shape
        features = self.features(segments.reshape(clips * count, 1, SEGMENT)).squeeze(2)
        if hasattr(self, "rnn"):
            embedding, _ = self.rnn(features.reshape(clips, count, -1))
        else:
            embedding = torch.tanh(self.fc_bn(self.fc(features))).reshape(clips, count, -1)
        return self.classifier(embedding), embedding


for head in ["dense", "lstm"]:
    torch.manual_seed(SEED)
    model = SampleCnn(head).eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm1d):
                module.weight.uniform_(0.5, 2.0), module.bias.uniform_(-0.5, 0.5)
                module.running_mean.uniform_(-0.3, 0.3), module.running_var.uniform_(0.05, 0.5)
        model.classifier.weight.mul_(6)  # The classes lie apart, so that a wrong weight shows.
        waveform = torch.rand(2, WINDOW * SEGMENT) * 2 - 1
        waveform[0] = torch.from_numpy(golden_input(1, WINDOW * SEGMENT))
        logits, embedding = model(waveform.reshape(2, WINDOW, SEGMENT))
    safetensors.torch.save_file(model.state_dict(), HERE / f"{head}.safetensors")
    safetensors.torch.save_file({"waveform": waveform, "logits": logits, "embedding": embedding.contiguous()}, HERE / f"{head}.probe.safetensors")
