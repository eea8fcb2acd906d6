"""`python -m app` is `theeye-sync`."""

from app.command import main

main(prog_name="theeye-sync")
