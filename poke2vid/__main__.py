"""`python -m poke2vid`: the same program as `poke2vid`."""

from poke2vid.cli import main

if __name__ == "__main__":
    main()
