"""Physics simulator that makes poke videos.

Needs the extra `poke2vid[simulator]`; `poke2vid simulate --check` says what is missing.
"""

from poke2vid.simulator.availability import choose_driver

choose_driver()  # before MuJoCo's first import, which reads the choice
