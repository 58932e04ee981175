"""`python -m modalweave` is the `modalweave` command."""

from modalweave.cli import main

if __name__ == "__main__":
    main()
