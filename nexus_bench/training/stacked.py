"""Many models of equal shape in one step: each with its own data order, learning rate, clipping and curriculum.

Axis letters: s stacked models, w weights of a model, b graphs of a batch, q queries, c classes.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import functional_call, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from nexus_bench.data.drawers import encode
from nexus_bench.data.splits import Splits
from nexus_bench.io.columns import VAL
from nexus_bench.model.batch import Batch, to_batch
from nexus_bench.model.contract import Model
from nexus_bench.model.scoring import EVALUATION_GRAPHS, HopScore, by_hop, losses_of
from nexus_bench.training.engine import Engine
from nexus_bench.training.modes import DETERMINISTIC
from nexus_bench.training.optimizers import ADAMW_BETAS, STEPS, Weights
from nexus_bench.training.pool import Pool, StackedExamples, stacked
from nexus_bench.training.recipe import schedule
from nexus_bench.training.row import TrainingRow, first_names, first_state, load_state, places_of
from nexus_bench.training.spec import CellSpec

MOST_MODELS = 256  # per stack; more gain little
_STEPS_AHEAD = 16  # steps that the CPU may queue before it waits: bounds the delay of a stop
_WARM_UP = 3  # steps before a CUDA graph is captured, then undone


class CompilerError(Exception):
    """PyTorch's compiler failed at a step that can be made without it."""


class Stacked(Engine):
    """The weights of all models are one matrix with one row per model; so are the means of the optimiser.

    Args:
        rows: Rows whose cells differ only in seed, learning rate and curriculum; those that share a source object share
            its examples on the device.
        device: On `cuda` the step is captured as a CUDA graph.
        mode: One of STACKED.
        n_drawers: Processes that draw examples at most; with 0 a thread does.
        compiles: Whether the step is compiled, in the modes that do so.
    """

    def __init__(
        self, rows: Sequence[TrainingRow], device: torch.device, mode: str, *, n_drawers: int = 0, compiles: bool = True
    ) -> None:
        super().__init__(rows)
        self._device = device
        self._mode = mode
        self._compiles = compiles and mode != DETERMINISTIC
        self._template = rows[0].build().to(device)
        states = [row.state or first_state(row.build()) for row in rows]
        self._state = {name: torch.stack([state[name].to(device) for state in states]) for name in states[0]}
        self._held = Weights(*(self._state[name] for name in Weights._fields))
        self._buffers = {name: self._state[f"buffer.{name}"] for name, _ in self._template.named_buffers()}
        self._places = places_of(self._template)
        self._first_names = first_names(self._template)  # several modules may hold the same tensor
        self._shapes = {name: p.shape for name, p in self._template.named_parameters()}
        cells = [row.cell for row in rows]
        self._at = torch.zeros(1, dtype=torch.int64, device=device)
        self._lr = torch.tensor([cell.train.lr for cell in cells], device=device)[:, None]
        self._rates = torch.tensor(_rates(cells[0]), dtype=torch.float32, device=device)
        self._alive = torch.tensor([[row.status is None] for row in rows], device=device)
        self._limits = torch.zeros(len(cells), 1, 1, dtype=torch.int32, device=device)
        self._newest_limits: list[int] = []
        self._has_curriculum = any(cell.train.curriculum != "none" for cell in cells)
        distinct = list(dict.fromkeys(row.source for row in rows))
        self._which = torch.tensor([distinct.index(row.source) for row in rows], device=device)[:, None]
        self._validation = stacked(
            [encode(source.held_out[VAL].examples, source.law, self.encoding) for source in distinct]
        )
        self._layout = to_batch(distinct[0].batch(0, 1), self.schema, self.encoding, device).layout
        # From here on only the pool reads the sources. What is drawn is small, what is stored may be large: it stays.
        n_drawers = n_drawers if all(isinstance(source, Splits) for source in distinct) else 0
        self._pool = Pool(distinct, self.feed, self.encoding, device, n_drawers=n_drawers)
        self._losses_of, self._update = self._losses_of_next, self._updated
        self._run: Callable[[], None] | None = None

    def end(self, index: int, status: str) -> None:
        """End the training of one row, on the device as well."""
        super().end(index, status)
        self._alive[index] = False

    def advance(self) -> None:
        """One optimiser step of every model, queued on the device.

        Raises:
            CompilerError: PyTorch's compiler failed; the state is unusable.
        """
        self._pool.seek(self.step)
        if self._has_curriculum or not self._newest_limits:
            limits = [self.limit(index) for index in range(len(self.rows))]
            if limits != self._newest_limits:
                self._limits.copy_(torch.tensor(limits, dtype=torch.int32)[:, None, None])
                self._newest_limits = limits
        with self.numerics(), _compiler_errors() if self._compiles else nullcontext():
            if self._run is None:
                self._run = self._prepared()
            self._run()
        self.step += 1
        if self._device.type == "cuda" and self.step % _STEPS_AHEAD == 0:
            torch.cuda.current_stream().synchronize()

    def scores(self) -> list[dict[int, HopScore]]:
        """Validation by hop, of each model."""
        losses, hits, held = [], [], self._validation
        self._template.eval()
        with torch.no_grad(), self.numerics():
            for start in range(0, held.tokens.shape[1], EVALUATION_GRAPHS):
                places = slice(start, start + EVALUATION_GRAPHS)
                parts = (part if part.shape[1] == 1 else part[:, places] for part in held)
                loss, hit = self._scored(StackedExamples(*(part.to(self._device)[self._which[:, 0]] for part in parts)))
                losses.append(loss.float().cpu())
                hits.append(hit.cpu())
        self._template.train()
        loss_of, hit_of = (torch.cat(parts, dim=1).flatten(1).numpy() for parts in (losses, hits))
        hops = held.hop.flatten(1).numpy()
        return [by_hop(loss_of[i], hit_of[i], hops[int(source)]) for i, source in enumerate(self._which[:, 0].tolist())]

    def state(self) -> dict[str, Tensor]:
        """The weights, the moments and the buffers of all models."""
        return {name: tensor.clone() for name, tensor in self._state.items()}

    def model(self, index: int) -> Model:
        """One of the models; the next call overwrites it."""
        load_state(self._template, {name: tensor[index] for name, tensor in self._state.items()})
        return self._template

    @property
    def n_bytes(self) -> int:
        """The tensors held on the device between steps."""
        return sum(tensor.nbytes for tensor in (*self._state.values(), *self._pool.arrays))

    def try_out(self) -> None:
        """One plain step and an evaluation, for measuring memory; it leaves the state unusable."""
        self._limits.fill_(max(self.rows[0].cell.task.hops))
        with self.numerics():
            self._step()
        self.scores()

    def close(self) -> None:
        """Free the device and end the threads."""
        self._pool.close()
        self._run = None

    def _prepared(self) -> Callable[[], None]:
        """The step in its final form: compiled and captured if the mode and the device allow it."""
        self._at.fill_(self.step)
        if self._compiles:
            from nexus_bench.training.long_products import LongProducts  # imports PyTorch's compiler: 2 seconds

            torch.compiler.reset()  # what was compiled for other stacks is captured already or no longer needed
            passes: dict[str, Any] = {"post_grad_custom_pre_pass": LongProducts()}
            self._losses_of = torch.compile(self._losses_of_next, fullgraph=True, dynamic=False, options=passes)
            self._update = torch.compile(self._updated, fullgraph=True, dynamic=False)
        if self._device.type != "cuda":
            return self._step
        held = (*self._state.values(), self._at)
        before = [tensor.clone() for tensor in held]
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(_WARM_UP):
                self._step()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=side):  # PyTorch's own stream is of the first device that captured
            self._step()
        for tensor, old in zip(held, before, strict=True):
            tensor.copy_(old)
        return graph.replay

    def _step(self) -> None:
        weights = self._held.weights.detach().requires_grad_()
        losses = self._losses_of(weights)
        (gradient,) = torch.autograd.grad(losses.sum(), weights)  # each loss depends on one row only
        self._update(gradient)
        self._at.add_(1)

    def _losses_of_next(self, weights: Float[Tensor, "s w"]) -> Float[Tensor, " s"]:
        """Mean cross-entropy of each model over the queries of its next batch that its curriculum includes."""
        rows = self._pool.order[self._at % self.feed.n_steps]  # 1 b
        parts = self._pool.arrays
        batch = StackedExamples(*(part[self._which, rows if part.shape[1] > 1 else 0] for part in parts))
        logits = self._logits(self._unpacked(weights), batch)
        counted = ((batch.hop > 0) & (batch.hop <= self._limits)).float()
        each = losses_of(logits.float(), batch.answer.long()) * counted
        return each.sum(dim=(1, 2)) / counted.sum(dim=(1, 2)).clamp(min=1)

    def _updated(self, gradient: Float[Tensor, "s w"]) -> None:
        """A step of the optimiser, of the models that are still trained."""
        norm = gradient.square().sum(dim=1, keepdim=True).sqrt()
        gradient = gradient * (self.recipe.clip_norm / (norm + 1e-6)).clamp(max=1)
        share, *corrections = self._rates[self._at][0].unbind()
        step = STEPS[self.recipe.optimizer]
        for old, new in zip(
            self._held,
            step(self._held, gradient, self._lr * share, self.recipe.weight_decay, *corrections),
            strict=True,
        ):
            old.copy_(torch.where(self._alive, new, old))

    def _scored(self, batch: StackedExamples) -> tuple[Tensor, Tensor]:
        logits = self._logits(self._unpacked(self._held.weights), batch)
        loss = losses_of(logits.float(), batch.answer.long())
        return loss, logits.argmax(dim=-1) == batch.answer

    def _logits(self, weights: dict[str, Tensor], batch: StackedExamples) -> Float[Tensor, "s b q c"]:
        """The class scores of each model for its batch; positions that all graphs share are no input of each."""

        def one(own: dict[str, Tensor], tokens: Tensor, read_at: Tensor, length: Tensor, answer: Tensor) -> Any:
            held = {name: own[first] for name, first in self._first_names.items()}
            shown = Batch(tokens, read_at, length, answer, self._layout)
            return functional_call(self._template, held, (shown,), tie_weights=False)

        is_shared = batch.read_at.shape[1] == 1
        places = (batch.read_at[0], batch.length[0]) if is_shared else (batch.read_at, batch.length)
        each = (None, None) if is_shared else (0, 0)
        with torch.autocast("cuda", torch.bfloat16, enabled=self._mode == "bfloat16"):
            logits: Tensor = vmap(one, in_dims=(0, 0, *each, 0))(
                weights | self._buffers, batch.tokens.int(), *places, batch.answer
            )
        return logits

    def _unpacked(self, flat: Float[Tensor, "*s w"]) -> dict[str, Tensor]:
        """The rows as the parameters of the models; all are views."""
        parts = {name: flat[..., place] for name, place in self._places.items()}
        return {name: part.reshape(*part.shape[:-1], *self._shapes[name]) for name, part in parts.items()}

    @contextmanager
    def numerics(self) -> Iterator[None]:
        """A context with the kernels that the mode allows."""
        exact = self._mode == DETERMINISTIC
        before = torch.get_float32_matmul_precision(), torch.are_deterministic_algorithms_enabled()
        torch.set_float32_matmul_precision("highest" if exact else "high")
        torch.use_deterministic_algorithms(exact)
        try:
            with sdpa_kernel(SDPBackend.MATH):  # fused kernels do not stack: vmap runs them one by one, or fails
                yield
        finally:
            torch.set_float32_matmul_precision(before[0])
            torch.use_deterministic_algorithms(before[1])


@contextmanager
def _compiler_errors() -> Iterator[None]:
    """Tells failures of the compiler from those of a model; memory that runs out in it is told as such."""
    from torch._dynamo.exc import BackendCompilerFailed  # imports the compiler

    try:
        yield
    except BackendCompilerFailed as error:
        cause = error.inner_exception
        if isinstance(cause, torch.OutOfMemoryError):
            raise cause from None
        said = str(cause).strip().splitlines() or ["no message"]
        raise CompilerError(f"{type(cause).__name__}: {said[0]}") from error


def prepare_determinism() -> None:
    """Set what cuBLAS needs before its first use in a process (its documentation, "Results reproducibility")."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def prepare_compiler(n_processes: int) -> None:
    """Bound PyTorch's compiler before its first use in a process: by itself it starts as many processes as cores."""
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", str(n_processes))


def _rates(cell: CellSpec) -> np.ndarray:
    """By step: the share of the learning rate, and AdamW's corrections of the two moments."""
    beta1, beta2 = ADAMW_BETAS
    steps = range(cell.train.steps + _WARM_UP)  # a capture makes so many more and undoes them
    return np.array(
        [(schedule(s, cell.train), 1 / (1 - beta1 ** (s + 1)), (1 - beta2 ** (s + 1)) ** -0.5) for s in steps]
    )
