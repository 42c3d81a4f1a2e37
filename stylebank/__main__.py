"""python -m stylebank."""

from stylebank.cli import main

if __name__ == "__main__":
    main()
