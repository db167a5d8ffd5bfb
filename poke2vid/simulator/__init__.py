"""Physics for pictures that can be poked.

Needs the extra `poke2vid[simulator]`; `poke2vid simulate --check` says what is missing.
"""

from poke2vid.simulator.availability import choose_driver

choose_driver()  # MuJoCo reads the choice when it is first imported, so it is made before
