"""The command line as a process of its own."""

import sys
from typing import Final

_START: Final = """
import sys
from harness import page_cache
page_cache.told = lambda before, after: False  # other tests read the disk, too, and forgetting it takes seconds
from speedrun.app import main
sys.exit(main())
"""

# -P: a test's checkout, which is the current folder, has folders of the packages' names.
SPEEDRUN: Final = (sys.executable, "-P", "-c", _START)
