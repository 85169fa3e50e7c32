"""`python -m experiments.paradox` runs the experiment, which can be stopped and resumed, and writes its page."""

import sys

from experiments.paradox.measure import main

if __name__ == "__main__":
    sys.exit(main())
