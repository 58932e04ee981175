"""Settings are checked while they are read: before a graph, and without loading what trains."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from gnn.config import GNNConfig
from gnn.network.config import NetworkConfig

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("field", "typo", "told"),
    [
        ("fusion", "jont", "fusion 'jont' is unknown; did you mean 'joint'?"),
        ("fusion", "descision", "fusion 'descision' is unknown; did you mean 'decision'?"),
        ("fusion", "x", "fusion 'x' is unknown; use one of joint, feature, attended, decision"),
        ("loss", "sampled-softmax", "loss 'sampled-softmax' is unknown; did you mean 'sampled_softmax'?"),
        ("propagation", "atention", "propagation 'atention' is unknown; did you mean 'attention'?"),
        ("schedule", "cosin", "schedule 'cosin' is unknown; did you mean 'cosine'?"),
        ("device", "gpu", "device 'gpu' is not known; use auto, cpu, cuda or cuda:N"),
        ("device", "cuda:x", "device 'cuda:x' is not known; use auto, cpu, cuda or cuda:N"),
    ],
)
@pytest.mark.parametrize("model", [NetworkConfig, GNNConfig])
def test_a_typo_is_told_while_the_config_is_read(model: type[NetworkConfig], field: str, typo: str, told: str) -> None:
    with pytest.raises(ValidationError) as error:
        model.model_validate({field: typo})
    assert error.value.errors()[0]["msg"] == f"Value error, {told}"


def test_decision_is_a_fusion_of_a_run() -> None:
    assert GNNConfig(fusion="decision").fusion == "decision"


def test_a_device_that_is_not_here_may_still_be_written_down() -> None:
    assert NetworkConfig(device="cuda:7").device == "cuda:7"


@pytest.mark.parametrize("module", ["gnn.network.config", "gnn.network.footprint"])
def test_reading_settings_loads_nothing_that_computes(module: str) -> None:
    code = (
        f"import sys, {module}\n"
        "heavy = {'torch', 'torch_geometric', 'transformers', 'scipy', 'sklearn', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
