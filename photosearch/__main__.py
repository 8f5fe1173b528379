"""`python -m photosearch`: the command line, where no script of it is on the PATH."""

from photosearch.cli.app import main

main()
