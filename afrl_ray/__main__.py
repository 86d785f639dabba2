"""`python -m afrl_ray` is `afrl`."""

import sys

from afrl_ray.cli import main

sys.exit(main())
