"""``python -m ann_ckpt``: the command line, where ``ann-ckpt`` is not in PATH."""

from ann_ckpt.cli import main

if __name__ == "__main__":
    main()
