"""`python -m crmbridge` is the command `crmbridge`."""

from crmbridge.cli.main import run

if __name__ == "__main__":
    run()
