"""Whether a built wheel is whole and works where the repository is not: `make release-check` runs this, and a test.

python tests/release.py dist/nexus_bench-....whl    # with the Python that the wheel is installed in
"""

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
TINY = ["--steps", "20", "--seeds", "1", "--set", "n_val=16", "--set", "n_test=32"]
COMMANDS = (
    ["train", "quick", *TINY, "--out", "quick"],
    ["compare", "quick", "quick"],
    ["report", "quick"],
    ["check", "standard", "pointer_chase"],
    ["gen", "reachable", "--hops", "1-2", "--n", "50", "--n-test", "20", "--out", "data"],
    ["verify", "data"],
)


def missing(wheel: Path) -> set[str]:
    """Files of the package and of tasks that a wheel does not hold."""
    wanted = {path.relative_to(ROOT) for path in (ROOT / "nexus_bench").rglob("*") if path.is_file()}
    wanted |= {Path("nexus_bench") / path.relative_to(ROOT) for path in (ROOT / "tasks").rglob("*") if path.is_file()}
    names = {path.as_posix() for path in wanted if "__pycache__" not in path.parts}
    return names - set(zipfile.ZipFile(wheel).namelist())


def main(wheel: Path) -> None:
    """Check that the wheel is whole, that it is what is installed, and that first commands work in an empty folder."""
    lacking = missing(wheel)
    if lacking:
        raise SystemExit(f"{wheel}: lacks {', '.join(sorted(lacking))}; see [tool.hatch.build] in pyproject.toml")
    with tempfile.TemporaryDirectory() as folder:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        asked = "import nexus_bench; print(nexus_bench.__version__, nexus_bench.__file__)"
        line = [sys.executable, "-P", "-c", asked]
        told = subprocess.run(line, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout
        version, place = told.split(maxsplit=1)
        if "site-packages" not in place or wheel.name.split("-")[1] != version:
            raise SystemExit(f"{place.strip()} {version} is not what {wheel} installs; use the Python that it is in")
        for command in COMMANDS:
            print("$ nexus-bench", *command, flush=True)
            subprocess.run(
                [Path(sys.executable).with_name("nexus-bench"), *command], cwd=folder, env=environment, check=True
            )
    print(f"{wheel.name}: whole, and works")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
