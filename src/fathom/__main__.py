"""`python -m fathom` is the command."""

from fathom.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
