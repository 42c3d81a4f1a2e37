"""python -m stylebank."""

from stylebank.cli.app import main

if __name__ == "__main__":
    main()
