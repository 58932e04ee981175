"""The folder of a run: every path of its products, in one place."""

from os import PathLike
from pathlib import Path


class Workspace:
    """What lies where in a run's folder; nothing is made by looking.

    >>> Workspace("runs/shop").bundle.as_posix()
    'runs/shop/bundle'
    """

    def __init__(self, root: str | PathLike[str]) -> None:
        self.root = Path(root)
        self.config = self.root / "config.yaml"
        """The resolved config, every default written out."""
        self.source = self.root / "source"
        """Tables that were handed over in memory, as a dataset folder."""
        self.graph = self.root / "graph"
        """The embedded store."""
        self.embeddings = self.root / "embeddings"
        """The content-addressed cache of vectors."""
        self.downloads = self.root / "downloads"
        """Media that were fetched."""
        self.imports = self.root / "import"
        """Files for Neo4j's bulk import."""
        self.quarantine = self.root / "quarantine.parquet"
        """What a build left out, with its reason."""
        self.coverage = self.root / "coverage.json"
        """What the catalogue has and lacks."""
        self.coverage_page = self.root / "coverage.html"
        """The same for people."""
        self.checkpoints = self.root / "checkpoints"
        """State of a training that has not ended."""
        self.tensorboard = self.root / "tensorboard"
        """Curves of a training."""
        self.bundle = self.root / "bundle"
        """The trained model, the one that is measured."""
        self.serving = self.root / "serving"
        """The model fitted again on everything."""
        self.validation = self.root / "validation.json"
        """The metrics of training."""
        self.metrics = self.root / "metrics.json"
        """The metrics on the test split; on validation where there are none of that."""
        self.report = self.root / "report.html"
        """The same for people."""
        self.scores = self.root / "scores"
        """Recommendations of the batch job."""
        self.study = self.root / "study"
        """Finished runs of a study."""
        self.study_result = self.root / "study.json"
        """The study's numbers."""
        self.study_page = self.root / "study.html"
        """The same for people."""
        self.tune_journal = self.root / "tune" / "journal.log"
        """What a search has tried."""
        self.tune_trials = self.root / "tune" / "trials.json"
        """The same for people."""
        self.tuned = self.root / "tuned.yaml"
        """The config a search has found."""
        self.history = self.root / ".explore_history"
        """Lines typed into the console."""

    @property
    def links(self) -> Path:
        """Similar media as last found, for a build whose vectors are the same."""
        return self.root / ".links"

    @property
    def replies(self) -> Path:
        """What a language model has said, kept by what it was asked."""
        return self.root / "enrichment"

    @property
    def enrichment_page(self) -> Path:
        """What a language model wrote of some items, for people to judge."""
        return self.root / "enrichment.html"

    @property
    def comparison(self) -> Path:
        """This run beside others, for people."""
        return self.root / "compare.html"

    def __repr__(self) -> str:
        return f"Workspace({str(self.root)!r})"

    @property
    def refit_checkpoints(self) -> Path:
        """State of a refit that has not ended."""
        return self.checkpoints / "refit"

    def products(self) -> list[Path]:
        """What is there and meant to be seen, by name; empty before the first build."""
        found = self.root.iterdir() if self.root.is_dir() else ()
        return sorted(path for path in found if not path.name.startswith("."))
