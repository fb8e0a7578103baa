"""Samples use, memory, power and clock of the GPU while something runs, through NVML, the library behind nvidia-smi."""

import ctypes
import threading
import time

EVERY_SECONDS = 0.05
LIBRARY = "libnvidia-ml.so.1"
SM_CLOCK = 1


class Utilization(ctypes.Structure):
    _fields_ = [("gpu", ctypes.c_uint), ("memory", ctypes.c_uint)]


class Memory(ctypes.Structure):
    _fields_ = [("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong)]


class Gpu:
    """The first GPU."""

    def __init__(self):
        self.library = ctypes.CDLL(LIBRARY)
        self._call("nvmlInit_v2")
        self.handle = ctypes.c_void_p()
        self._call("nvmlDeviceGetHandleByIndex_v2", ctypes.c_uint(0), ctypes.byref(self.handle))

    def _call(self, name, *arguments):
        if code := getattr(self.library, name)(*arguments):
            raise OSError(f"{name} gives {code}")

    def sample(self):
        """Busy per cent, memory in MiB, power in W and clock in MHz; the last two are None where this GPU does not report them."""
        busy, memory = Utilization(), Memory()
        self._call("nvmlDeviceGetUtilizationRates", self.handle, ctypes.byref(busy))
        self._call("nvmlDeviceGetMemoryInfo", self.handle, ctypes.byref(memory))
        return busy.gpu, memory.used / 2**20, self._number(1000, "nvmlDeviceGetPowerUsage"), self._number(1, "nvmlDeviceGetClockInfo", ctypes.c_int(SM_CLOCK))

    def _number(self, unit, name, *which):
        value = ctypes.c_uint()
        try:
            self._call(name, self.handle, *which, ctypes.byref(value))
        except OSError:
            return None
        return value.value / unit


class Sampler:
    """`with Sampler(on) as sampler: …`; does nothing where `on` is false."""

    def __init__(self, on):
        self.on, self.rows, self.fault = on, [], "no GPU"
        self.ended = threading.Event()

    def __enter__(self):
        if self.on:
            self.reader = threading.Thread(target=self._read, daemon=True)
            self.reader.start()
        return self

    def _read(self):
        try:
            gpu = Gpu()
            while not self.ended.wait(EVERY_SECONDS):
                self.rows.append((time.monotonic(), *gpu.sample()))
        except OSError as error:  # Training goes on without samples.
            self.fault = f"NVML: {error}"

    def __exit__(self, *_):
        if self.on:
            self.ended.set()
            self.reader.join()

    def summary(self, seconds):
        """Busy share over the busiest stretch as long as the timed one; peaks over all samples."""
        if not self.rows:
            return {"skipped": self.fault}
        busiest = busiest_mean([(row[0], row[1]) for row in self.rows], seconds)
        power, clock = ([row[i] for row in self.rows if row[i] is not None] for i in (3, 4))
        return {
            "busy_share": busiest / 100, "busy_is": "share of time in which a kernel ran, by NVML", "samples": len(self.rows),
            "peak_memory_mib": max(row[2] for row in self.rows), "memory_before_mib": self.rows[0][2],
            "peak_power_w": max(power, default=None), "peak_sm_mhz": max(clock, default=None),
        }  # fmt: skip


def busiest_mean(samples, seconds):
    """The highest mean over samples (time, value) of any stretch of so many seconds; of all samples where they cover less."""
    best, begin, total = 0.0, 0, 0.0
    for end, (moment, value) in enumerate(samples):
        total += value
        while moment - samples[begin][0] > seconds:
            total -= samples[begin][1]
            begin += 1
        # Only complete stretches count.
        if moment - samples[0][0] >= seconds or end == len(samples) - 1:
            best = max(best, total / (end - begin + 1))
    return best
