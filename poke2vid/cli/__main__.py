"""Entry point of `python -m poke2vid.cli`, the program without its script."""

from poke2vid.cli import main

main()
