"""Start `theeye-sync`, also by `python -m app`."""


def main() -> None:
    """Run the command line; end without a traceback after Ctrl-C while it is loading."""
    try:
        from app.cli import main as command

        command(prog_name="theeye-sync")
    except KeyboardInterrupt:
        raise SystemExit(130) from None  # INTERRUPTED of app/client/outcome.py, which is not loaded yet


if __name__ == "__main__":
    main()
