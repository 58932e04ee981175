"""torch_geometric comes without its data sets and torch's compiler, and both are there as soon as they are used."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def _passes(code: str) -> None:
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_reads_a_graph_loads_no_language_model_and_no_compiler() -> None:
    _passes(
        "import sys\nfrom graph.hetero import read_hetero\nfrom torch_geometric.data import HeteroData\n"
        "from torch_geometric.loader import LinkLoader\n"
        "loaded = {'transformers', 'torch._dynamo', 'torch_geometric.llm', 'torch._inductor'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
        "import torch\ndata = HeteroData()\ndata['a'].x = torch.ones(3, 2)\nassert data['a'].num_nodes == 3\n"
    )


def test_both_are_there_when_they_are_used() -> None:
    _passes(
        "import gnn\nimport torch, torch_geometric\n"
        "assert torch_geometric.is_torch_instance(torch.nn.Linear(1, 1), torch.nn.Linear)\n"
        "assert torch_geometric.datasets.KarateClub.__name__ == 'KarateClub'\n"
        "from torch_geometric.datasets import Planetoid\n"
        "assert torch._dynamo.OptimizedModule\nimport torch._dynamo\nassert torch._dynamo.config\n"
    )


def test_a_process_that_has_it_already_keeps_it_as_it_is() -> None:
    _passes(
        "import sys, torch_geometric\nbefore = list(sys.meta_path)\nimport gnn, graph, modalweave\n"
        "assert sys.meta_path == before and 'torch._dynamo' in sys.modules\n"
    )
