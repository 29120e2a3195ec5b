"""Build the site and check it, or write README.md: `python tools/site.py --help` lists all uses.

The code is in the folder `website`. A folder `site` could not be imported: Python has loaded its
own module of that name before any script starts.
"""

import sys

from website.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
