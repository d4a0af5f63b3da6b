"""Where the project is that is tested."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "runs" / "example"
