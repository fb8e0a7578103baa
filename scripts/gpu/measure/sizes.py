"""Sizes of everything that is measured, on a GPU and in the rehearsal on a CPU."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Sizes:
    device: str
    # The synthetic data set.
    clips: int
    artists: int
    samples: int
    write_seconds: float
    # Training at full speed: networks with both heads, and steps of one of the epochs that are timed.
    steps: dict
    batch: int
    # Training on real music: the network, and the segments of a clip, as many as the bundle's clips hold.
    music_network: str
    window: int
    music_epochs: int
    music_steps: int
    music_batch: int
    # The same step on two devices.
    same_batch: int
    # Peers and serving.
    modes: tuple
    compiled: tuple
    peer_seconds: float
    precisions: tuple
    batches: tuple
    serve_seconds: float
    # Alternations of ours and theirs, for the first network; the others have one.
    rounds: int
    # Seconds of the ten minutes that each step may take; what a step does not use goes to the next.
    shares: dict = field(default_factory=dict)

    @property
    def networks(self):
        """The smaller network first: the time limit cuts off the last ones."""
        return [(network, head) for network in self.steps for head in ("dense", "lstm")]


FULL = Sizes(
    device="cuda", clips=24_847, artists=222, samples=465_984, write_seconds=40,
    steps={"model1": 60, "model2": 30}, batch=16,
    music_network="model1", window=2, music_epochs=12, music_steps=5, music_batch=9, same_batch=4,
    modes=("eager", "channels-last", "benchmark", "bf16"), compiled=("compile",), peer_seconds=1.5,
    precisions=("fp32", "tf32", "bf16"), batches=(1, 2, 4, 8, 16, 32, 64, 128, 256), serve_seconds=0.3, rounds=2,
    shares={"box": 40, "train": 150, "peer": 155, "export": 110, "serve": 135, "projection": 5},
)  # fmt: skip

SMALL = Sizes(
    device="cpu", clips=96, artists=8, samples=5_103, write_seconds=40,
    steps={"example": 3}, batch=4,
    music_network="example", window=2, music_epochs=4, music_steps=4, music_batch=9, same_batch=2,
    modes=("eager", "channels-last", "bf16"), compiled=(), peer_seconds=0.2,
    precisions=("fp32", "bf16"), batches=(1, 2), serve_seconds=0.2, rounds=1,
    shares={"box": 60, "train": 150, "peer": 150, "export": 90, "serve": 120, "projection": 5},
)  # fmt: skip
