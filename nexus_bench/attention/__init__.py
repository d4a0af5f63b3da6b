"""Attention mechanisms, one file each, with naive references and GPU kernels.

Every mechanism is a module of PyTorch that maps (batch, positions, width) to the same shape, for use in any code:

>>> import torch
>>> from nexus_bench.attention import Layout, Nexus
>>> attention = Nexus.build(64, 4, order=2)
>>> attention(torch.zeros(2, 10, 64), Layout(causal=True)).shape
torch.Size([2, 10, 64])
"""

from nexus_bench.attention.base import ATTENTIONS, Attention, AttentionOptions
from nexus_bench.attention.delta_former import DeltaFormer
from nexus_bench.attention.delta_net import DeltaNet
from nexus_bench.attention.differential import Differential
from nexus_bench.attention.diffusion import Diffusion
from nexus_bench.attention.forgetting import Forgetting
from nexus_bench.attention.gated import Gated
from nexus_bench.attention.layout import Layout
from nexus_bench.attention.linear import Linear
from nexus_bench.attention.mamba2 import Mamba2
from nexus_bench.attention.nexus import Nexus
from nexus_bench.attention.nexus_options import NexusOptions
from nexus_bench.attention.path import Path
from nexus_bench.attention.standard import Standard
from nexus_bench.attention.strassen import Strassen
from nexus_bench.attention.talking_heads import TalkingHeads
from nexus_bench.attention.tree import Tree
from nexus_bench.attention.triangular import Triangular
from nexus_bench.attention.two_simplicial import TwoSimplicial

__all__ = [
    "ATTENTIONS",
    "Attention",
    "AttentionOptions",
    "DeltaFormer",
    "DeltaNet",
    "Differential",
    "Diffusion",
    "Forgetting",
    "Gated",
    "Layout",
    "Linear",
    "Mamba2",
    "Nexus",
    "NexusOptions",
    "Path",
    "Standard",
    "Strassen",
    "TalkingHeads",
    "Tree",
    "Triangular",
    "TwoSimplicial",
]
