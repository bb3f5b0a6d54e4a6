"""The console program ``suti``: each subcommand is one module of this package."""
