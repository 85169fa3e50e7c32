"""`python -m vqttt.cli`."""

from vqttt.cli import main

main()
