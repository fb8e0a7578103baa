"""Our networks as a PyTorch user would write them, of a preset or with the weights of one of our checkpoints.

`Checkpoint.check` compares their logits with those in the checkpoint's probe, our trainer's: a comparison of the speed of different
networks would mean nothing.
"""

import sys
import tomllib
from pathlib import Path

import safetensors.torch
import torch
from torch import nn

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.append(str(ROOT / "scripts" / "shared"))
from checkpoint import PROBE, WEIGHTS, locate, record  # noqa: E402

# As in our presets: Keras' epsilon, and its momentum 0.99 as torch counts it.
NORM = {"eps": 1e-3, "momentum": 0.01}
# Relative to the largest logit: sums of some hundred products in another order, on the CPU in f32.
TOLERANCE = 1e-4


def preset(name, head):
    """The description of a preset, or of its file, with `head` (dense or lstm), as our trainer writes it into `run.json`."""
    file = name if str(name).endswith(".toml") else ROOT / "models" / "presets" / f"{name}.toml"
    described = tomllib.loads(Path(file).read_text())
    described["head"]["kind"] = head
    described.setdefault("hop", described["segment"])
    for block in described["blocks"]:
        kernel, stride = block.setdefault("kernel", 3), block.setdefault("stride", 1)
        block.setdefault("padding", (kernel - 1) // 2 if stride == 1 else 0)
        block.setdefault("pool", 1)
    return described


class Network(nn.Module):
    """Waveforms [batch, segments, samples] to logits [batch, segments, classes].

    `flat` is the obvious layout: every segment is a row of Conv1d. Else segments lie on the height axis of Conv2d, as in our trainer.
    """

    def __init__(self, description, classes, flat):
        super().__init__()
        self.flat = flat
        self.lstm = description["head"]["kind"] == "lstm"
        layers, channels = [], 1
        for block in description["blocks"]:
            kernel, stride, padding, pool = (block[key] for key in ("kernel", "stride", "padding", "pool"))
            if flat:
                conv = nn.Conv1d(channels, block["filters"], kernel, stride, padding, bias=False)
                norm, pooling = nn.BatchNorm1d(block["filters"], **NORM), nn.MaxPool1d(pool)
            else:
                conv = nn.Conv2d(channels, block["filters"], (1, kernel), (1, stride), (0, padding), bias=False)
                norm, pooling = nn.BatchNorm2d(block["filters"], **NORM), nn.MaxPool2d((1, pool))
            layers.append(nn.Sequential(conv, norm, nn.ReLU(inplace=True), pooling if pool > 1 else nn.Identity()))
            channels = block["filters"]
        self.blocks = nn.Sequential(*layers)
        units = description["head"]["units"]
        if self.lstm:
            self.head = nn.LSTM(channels, units, batch_first=True)
        else:
            self.head = nn.Linear(channels, units, bias=False)
            self.norm = nn.BatchNorm1d(units, **NORM)
        self.output = nn.Linear(units, classes)

    def embedding(self, segments):
        """[batch, segments, units]."""
        batch, count, samples = segments.shape
        if self.flat:
            features = self.blocks(segments.reshape(batch * count, 1, samples)).flatten(1)
        else:
            # A channel axis of one: the memory is channels-last without a copy.
            x = segments.unsqueeze(3).permute(0, 3, 1, 2)
            features = self.blocks(x).permute(0, 2, 3, 1).reshape(batch * count, -1)
        if self.lstm:
            hidden, _ = self.head(features.view(batch, count, -1))
            return hidden
        return torch.tanh(self.norm(self.head(features))).view(batch, count, -1)

    def forward(self, segments):
        return self.output(self.embedding(segments))

    def load(self, weights):
        """Takes the tensors of a checkpoint; all of them must be used."""
        rest = dict(weights)
        with torch.no_grad():
            for name, tensor in self.tensors():
                tensor.copy_(rest.pop(name).reshape(tensor.shape))
        if rest:
            raise ValueError(f"not used: {sorted(rest)}")
        return self

    def tensors(self):
        """Weights and running statistics with their names in our checkpoints."""

        def norm(prefix, layer):
            for name in ("weight", "bias", "running_mean", "running_var"):
                yield f"{prefix}.norm.{name}", getattr(layer, name)

        for number, block in enumerate(self.blocks, 1):
            yield f"block{number}.conv.weight", block[0].weight
            yield from norm(f"block{number}", block[1])
        if self.lstm:
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                yield f"lstm.{name}", getattr(self.head, f"{name}_l0")
        else:
            yield "dense.weight", self.head.weight
            yield from norm("dense", self.norm)
        yield "output.weight", self.output.weight
        yield "output.bias", self.output.bias


class Checkpoint:
    """A checkpoint of our trainer."""

    def __init__(self, folder):
        saved = record(folder)
        self.description, self.classes = saved["network"], saved["classes"]
        self.weights = safetensors.torch.load_file(locate(folder) / WEIGHTS)
        self.probe = safetensors.torch.load_file(locate(folder) / PROBE)

    def network(self, flat):
        return Network(self.description, len(self.classes), flat).load(self.weights)

    def segments(self, waveforms):
        return waveforms.unfold(1, self.description["segment"], self.description["hop"])

    def check(self):
        """Number of parameters, and the distance of both layouts from our trainer's logits on the probe; an error where it is too large."""
        found = {}
        wanted = self.probe["logits"]
        for flat in (True, False):
            network = self.network(flat).eval()
            with torch.inference_mode():
                logits = network(self.segments(self.probe["waveform"]))
            found["flat" if flat else "channels-last"] = (logits - wanted).abs().max().item()
            found["parameters"] = sum(p.numel() for p in network.parameters())
        found["largest_logit"] = wanted.abs().max().item()
        found["tolerance"] = TOLERANCE * found["largest_logit"]
        if not max(found["flat"], found["channels-last"]) <= found["tolerance"]:
            raise ValueError(f"the peer's logits differ from ours: {found}")
        return found


def settings(device):
    """Versions and switches on which arithmetic and speed depend."""
    return {
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "cudnn": torch.backends.cudnn.version() if device == "cuda" else None,
        "tf32_convolutions": torch.backends.cudnn.allow_tf32,
        "tf32_products": torch.backends.cuda.matmul.allow_tf32,
    }
