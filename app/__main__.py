"""Run `theeye-sync` by `python -m app`."""

from app.cli import main

main(prog_name="theeye-sync")
