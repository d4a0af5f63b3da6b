"""`python -m nexus_bench` is the `nexus-bench` command."""

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line; Ctrl-C ends it quietly, also while it is still imported."""
    try:
        from nexus_bench.cli import main as command
    except KeyboardInterrupt:
        sys.exit(130)
    command()


if __name__ == "__main__":
    main()
