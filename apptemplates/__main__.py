"""The command line as `python -m apptemplates`."""

import sys

from apptemplates.cli import main

if __name__ == "__main__":
    sys.exit(main())
