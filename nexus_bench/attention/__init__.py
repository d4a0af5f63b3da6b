"""Attention mechanisms, one file each, with naive references and GPU kernels.

Every mechanism is a module of PyTorch that maps (batch, positions, width) to the same shape, for use in any code:

>>> import torch
>>> from nexus_bench.attention import Layout, Nexus
>>> attention = Nexus.build(64, 4, order=2)
>>> attention(torch.zeros(2, 10, 64), Layout(causal=True)).shape
torch.Size([2, 10, 64])
"""

from nexus_bench.attention.base import ATTENTIONS, Attention, AttentionOptions
from nexus_bench.attention.layout import Layout
from nexus_bench.attention.nexus import Nexus
from nexus_bench.attention.nexus_options import NexusOptions
from nexus_bench.attention.standard import Standard

__all__ = ["ATTENTIONS", "Attention", "AttentionOptions", "Layout", "Nexus", "NexusOptions", "Standard"]
