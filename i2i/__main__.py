"""`python -m i2i`, which launchers such as torchrun need."""

from i2i.cli import main

if __name__ == "__main__":
    main()
