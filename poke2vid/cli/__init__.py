"""The command line: parse, build, call. No logic, and nothing heavy is imported before a command runs."""

from poke2vid.cli.app import app, main

__all__ = ["app", "main"]
