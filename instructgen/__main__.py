"""`python -m instructgen`."""

from instructgen.cli import main

main()
