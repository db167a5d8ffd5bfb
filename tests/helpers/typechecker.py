"""The runtime checker of types and shapes for the whole suite: beartype, with PEP 484's rule that an int is a float."""

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
