import subprocess
import sys

HEAVY = ("numpy", "pandas", "scipy", "torch", "pyarrow", "datasets", "filelock")


def test_showing_a_board_loads_nothing_heavy():
    code = (
        "import sys; from pathlib import Path\n"
        "from leaderboard import export, ranking, render, store\n"
        "loaded = store.Store(Path('no-such-folder')).load()\n"
        "render.render_markdown(ranking.rank(loaded.records, {}))\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")
