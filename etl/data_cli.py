"""The commands `segue data ...`: get archives, add own music, verify what is loaded."""

import typer

data = typer.Typer(no_args_is_help=True, help="Get archives of FMA, add own music, verify what is loaded.")
