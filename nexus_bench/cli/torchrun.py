"""Of the processes that torchrun started, the first to fail says why; the others end with it, without a word."""

import os
import time

_PATIENCE = 2  # seconds: torchrun stops all processes once one has ended, so this one must not be the first to end


def is_told_beside() -> bool:
    """Whether another process of the same torchrun failed before, which says why; asked once by each that fails."""
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True" or os.environ.get("WORLD_SIZE") == "1":
        return False
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    try:  # the store is torchrun's own, and stays when processes end
        store = TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False)
        n_failed = store.add(f"nexus-bench failed {os.environ.get('TORCHELASTIC_RESTART_COUNT')}", 1)
    except (RuntimeError, ValueError, KeyError):  # torchrun is gone
        return False
    if n_failed > 1:
        time.sleep(_PATIENCE)
    return n_failed > 1
