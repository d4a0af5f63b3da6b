"""The public names, and what importing them costs."""

import subprocess
import sys

import nexus_bench as nb
from nexus_bench import api


def test_the_package_hands_on_the_names_of_the_api() -> None:
    assert set(nb.__all__) == {*api.__all__, "Item", "ItemStream", "__version__"}
    assert nb.__all__ == sorted(nb.__all__, key=lambda name: (name.lower() == name, name))
    assert set(nb.__all__) <= set(dir(nb))
    assert nb.train is api.train


def test_a_name_is_imported_on_first_use_and_only_training_needs_pytorch() -> None:
    code = (
        "import sys, nexus_bench as nb; heavy = ('numpy', 'pandas', 'torch'); "
        "print(*(name in sys.modules for name in heavy)); "
        "nb.show, nb.generate, nb.open, nb.score_answer('a', 'a'), nb.train; print('torch' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert ended.stdout == "False False False\nFalse\n", ended.stderr
