"""`python -m services.cli`: the same as `sps`, where the console script is not on PATH."""

from services.cli.main import main

main()
