"""`python -m glowtron` is `glowtron`."""

from glowtron.cli import main

if __name__ == "__main__":
    main()
