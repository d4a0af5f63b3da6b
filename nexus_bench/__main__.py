"""`python -m nexus_bench` is the `nexus-bench` command."""

from nexus_bench.cli import main

if __name__ == "__main__":
    main()
