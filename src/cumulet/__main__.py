"""`python -m cumulet`."""

from cumulet.cli import main

main()
