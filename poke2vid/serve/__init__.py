"""The web page, and the server's side of a live session if the server computes."""
