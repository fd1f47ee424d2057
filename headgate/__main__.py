"""`python -m headgate`, for where the script is not on PATH."""

from headgate.cli import main

main()
