"""What is measured how large: on a GPU, and in the rehearsal on a CPU."""

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
    # Learning real music: the network, and as many segments a clip as the bundle's clips hold.
    learner: str
    window: int
    learner_epochs: int
    learner_steps: int
    learner_batch: int
    # The same step on two devices.
    same_batch: int
    # Peers and serving.
    modes: tuple
    compiled: tuple
    peer_seconds: float
    precisions: tuple
    batches: tuple
    serve_seconds: float
    # Turns of ours and theirs; of the first network only, where there are several.
    rounds: int
    # Seconds of the ten minutes that each step may take; what one leaves is the next one's.
    shares: dict = field(default_factory=dict)

    @property
    def networks(self):
        """The heads of the small network first: what time cuts off is the least missed."""
        return [(network, head) for network in self.steps for head in ("dense", "lstm")]


FULL = Sizes(
    device="cuda", clips=24_847, artists=222, samples=465_984, write_seconds=40,
    steps={"model1": 60, "model2": 30}, batch=16,
    learner="model1", window=2, learner_epochs=12, learner_steps=5, learner_batch=9, same_batch=4,
    modes=("eager", "channels-last", "benchmark", "bf16"), compiled=("compile",), peer_seconds=1.5,
    precisions=("fp32", "tf32", "bf16"), batches=(1, 2, 4, 8, 16, 32, 64, 128, 256), serve_seconds=0.3, rounds=2,
    shares={"box": 40, "train": 150, "peer": 155, "export": 110, "serve": 135, "projection": 5},
)  # fmt: skip

SMALL = Sizes(
    device="cpu", clips=96, artists=8, samples=5_103, write_seconds=40,
    steps={"example": 3}, batch=4,
    learner="example", window=2, learner_epochs=4, learner_steps=4, learner_batch=9, same_batch=2,
    modes=("eager", "channels-last", "bf16"), compiled=(), peer_seconds=0.2,
    precisions=("fp32", "bf16"), batches=(1, 2), serve_seconds=0.2, rounds=1,
    shares={"box": 60, "train": 150, "peer": 150, "export": 90, "serve": 120, "projection": 5},
)  # fmt: skip
