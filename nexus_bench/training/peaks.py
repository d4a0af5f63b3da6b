"""What a GPU can do at most, to compare what is achieved with."""

import torch

_PEAKS = {  # name of the device, as PyTorch gives it, begins with -> dense TFLOP/s by precision
    "NVIDIA H100 PCIe": {"float32": 51.2, "tf32": 378.0, "bfloat16": 756.0},
    "NVIDIA H100": {"float32": 66.9, "tf32": 494.7, "bfloat16": 989.4},
    "NVIDIA H200": {"float32": 66.9, "tf32": 494.7, "bfloat16": 989.4},
    "NVIDIA A100": {"float32": 19.5, "tf32": 156.0, "bfloat16": 312.0},
}


def peak_of(device_name: str, mode: str) -> float | None:
    """The peak of a device in TFLOP/s, without sparsity, in the precision of a mode; None if it is not known.

    Source: NVIDIA's data sheets of the H100, the H200 and the A100.

    Args:
        device_name: As `torch.cuda.get_device_name` gives it.
        mode: One of the modes of `training.modes`.
    """
    precision = mode if mode in ("tf32", "bfloat16") else "float32"
    return next((peaks[precision] for name, peaks in _PEAKS.items() if device_name.startswith(name)), None)


def peak_here(device: str, mode: str) -> float | None:
    """The peak of a device of this machine in TFLOP/s; None for a CPU, or if it is not known."""
    return peak_of(torch.cuda.get_device_name(device), mode) if device.startswith("cuda") else None
