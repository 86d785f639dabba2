#!/usr/bin/env python
"""Whether this container's Ray node is well, on the head its state too: its own answer, which needs no token."""

import sys
import urllib.error
import urllib.request

URL = "http://127.0.0.1:52365/api/healthz"

try:
    urllib.request.urlopen(URL, timeout=4).close()
except (OSError, urllib.error.URLError) as error:
    sys.exit(f"{URL}: {error}")
