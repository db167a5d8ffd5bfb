"""The page and, where it is asked to compute, the server's side of a live session."""
