"""`python -m archdsl` is the command."""

import sys

from archdsl.cli import main

sys.exit(main())
