"""What nvidia-smi says of the GPU while something runs."""

import subprocess
import threading
import time

EVERY_MS = 100
QUERY = ("utilization.gpu", "memory.used", "power.draw", "clocks.sm")


class Sampler:
    """`with Sampler(on) as sampler: …`; does nothing where `on` is false."""

    def __init__(self, on):
        self.on, self.rows, self.child = on, [], None

    def __enter__(self):
        if self.on:
            command = ["nvidia-smi", f"--query-gpu={','.join(QUERY)}", "--format=csv,noheader,nounits", "-lms", str(EVERY_MS)]
            self.child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            self.reader = threading.Thread(target=self._read, daemon=True)
            self.reader.start()
        return self

    def _read(self):
        for line in self.child.stdout:
            try:
                self.rows.append((time.monotonic(), *(float(word) for word in line.split(","))))
            except ValueError:
                pass  # A value that this GPU does not tell.

    def __exit__(self, *_):
        if self.child:
            self.child.terminate()
            self.child.wait()
            self.reader.join()

    def told(self, seconds):
        """Busy share over the busiest stretch as long as what was timed, which was one such; peaks over everything."""
        if not self.rows:
            return {"skipped": "no GPU"} if not self.on else {"skipped": "nvidia-smi told nothing"}
        busiest = busiest_mean([(row[0], row[1]) for row in self.rows], seconds)
        return {
            "busy_share": busiest / 100, "busy_is": "share of time in which a kernel ran (utilization.gpu)", "samples": len(self.rows),
            "peak_memory_mib": max(row[2] for row in self.rows), "memory_before_mib": self.rows[0][2],
            "peak_power_w": max(row[3] for row in self.rows), "peak_sm_mhz": max(row[4] for row in self.rows),
        }  # fmt: skip


def busiest_mean(samples, seconds):
    """The highest mean over samples (time, value) of any stretch of so many seconds; of all where they are fewer."""
    best, begin, total = 0.0, 0, 0.0
    for end, (moment, value) in enumerate(samples):
        total += value
        while moment - samples[begin][0] > seconds:
            total -= samples[begin][1]
            begin += 1
        # A stretch that has only begun says little.
        if moment - samples[0][0] >= seconds or end == len(samples) - 1:
            best = max(best, total / (end - begin + 1))
    return best
