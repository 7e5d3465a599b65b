"""A simulation that hydra configures: composed, checked against the network, applied.

python run.py scenario=fast
python run.py --multirun parameters.populations.input.tau=5.0,10.0,"20 ms"
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import hydra

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from network import network  # noqa: E402 - it stands beside this folder

from ann_ckpt import params  # noqa: E402 - after the path to the network


@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(cfg: Any) -> None:
    """Refuse a configuration that does not fit; else set its values and say one of them."""
    findings = params.validate(cfg.parameters, HERE.parent / "network.schema.json")
    if findings:
        raise SystemExit("\n".join(map(str, findings)))
    state = params.apply(cfg.parameters, network())
    print(f"seed {cfg.seed}, tau {state.populations['input']['tau'][()]} ms")  # noqa: T201 - what a script is for


if __name__ == "__main__":
    main()
