"""`python -m strike_app`: the same as `strike`."""

from strike_app.cli import main

if __name__ == "__main__":
    main()
