"""`python -m helios.cli`, for where the scripts are not on the PATH."""

from helios.cli import command

command()
