"""An example: a Dask cluster of Slurm jobs for `nexus-bench train --executor dask --scheduler ...`.

    python -m nexus_bench.experiment.executors.slurm_example --jobs 20 --queue gpu --gpus 1

starts the scheduler on the machine where it is run, submits the jobs, prints the scheduler's address and waits. Each
job is one worker of one thread, with one GPU if requested. Copy it and adapt it to the rules of your site; dask-
jobqueue has equivalents for PBS, LSF, SGE and others. It needs `pip install 'nexus-bench[dask]' dask-jobqueue`.

Source: https://jobqueue.dask.org
"""

import argparse
import signal
from typing import Any


def slurm_cluster(
    *, queue: str | None = None, walltime: str = "04:00:00", memory: str = "8GB", gpus: int = 0, **more: Any
) -> Any:
    """A cluster without workers yet; `scale(jobs=n)` submits them.

    Args:
        queue: Slurm partition; None takes the default of the site.
        walltime: Time limit per job, as hh:mm:ss. A job that ends within a cell loses the steps of that cell only.
        memory: Memory per job.
        gpus: GPUs per job: 0 or 1.
        more: Further arguments of `dask_jobqueue.SLURMCluster`.
    """
    from dask_jobqueue import SLURMCluster

    extra = [f"--gres=gpu:{gpus}"] if gpus else []
    return SLURMCluster(
        queue=queue,
        walltime=walltime,
        memory=memory,
        cores=1,
        processes=1,
        job_extra_directives=extra,
        **more,
    )


def main() -> None:
    """Start a cluster and keep it until Ctrl-C."""
    parser = argparse.ArgumentParser(description="A Dask cluster of Slurm jobs.")
    parser.add_argument("--jobs", type=int, default=1, help="Slurm jobs, each one worker")
    parser.add_argument("--queue", help="Slurm partition")
    parser.add_argument("--walltime", default="04:00:00", help="time limit per job")
    parser.add_argument("--memory", default="8GB", help="memory per job")
    parser.add_argument("--gpus", type=int, default=0, choices=(0, 1), help="GPUs per job")
    parser.add_argument("--interface", help="network interface of scheduler and workers, such as ib0")
    asked = vars(parser.parse_args())
    jobs = asked.pop("jobs")
    with slurm_cluster(**asked) as cluster:
        cluster.scale(jobs=jobs)
        print(f"nexus-bench train SUITE --executor dask --scheduler {cluster.scheduler_address}", flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
