"""The peak of a device by its name and the precision of a mode."""

import pytest

from nexus_bench.training.peaks import peak_here, peak_of


@pytest.mark.parametrize(
    ("name", "mode", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", "tf32", 494.7),
        ("NVIDIA H100 80GB HBM3", "bfloat16", 989.4),
        ("NVIDIA H100 80GB HBM3", "deterministic", 66.9),
        ("NVIDIA H100 PCIe", "single", 51.2),
        ("NVIDIA A100-SXM4-80GB", "bfloat16", 312.0),
        ("NVIDIA GeForce RTX 4090", "tf32", None),
    ],
)
def test_the_peak_is_that_of_the_precision(name: str, mode: str, peak: float | None) -> None:
    assert peak_of(name, mode) == peak


def test_a_processor_has_none() -> None:
    assert peak_here("cpu", "single") is None
