"""The JSON API: the product's online form for one team. OpenAPI stands at `/api/openapi.json`."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, JsonValue

from modalweave.serve.answers import (
    Failure,
    Found,
    GraphAnswer,
    ItemAnswer,
    OverviewAnswer,
    Ranked,
    RecommendedTo,
    RowsAnswer,
    UserAnswer,
)
from modalweave.serve.explorer import Explorer

_ID = Query(min_length=1, max_length=1000)
_COUNT = Query(ge=1, le=1000)
_FAILURES: dict[int | str, dict[str, Any]] = {
    400: {"model": Failure, "description": "What was asked cannot be answered."},
    404: {"model": Failure, "description": "The graph does not hold it."},
    503: {"model": Failure, "description": "The graph or the model is not there yet, or too many are asking."},
}

Name = Annotated[str, _ID]
Count = Annotated[int, _COUNT]
By = Literal["words", "text", "image", "audio"]


class History(BaseModel, extra="forbid"):
    """One choice of a person whom the model need not know."""

    user_id: str = Field(min_length=1, max_length=1000)
    item_id: str = Field(min_length=1, max_length=1000)
    weight: float = Field(default=1.0, ge=0, allow_inf_nan=False)


class RecommendQuestion(BaseModel, extra="forbid"):
    """Whom to recommend what; each field as in `Model.recommend`."""

    users: list[str] | None = Field(default=None, max_length=1000)
    histories: list[History] | None = Field(default=None, max_length=100_000)
    k: int = Field(default=10, ge=1, le=1000)
    items: list[str] | None = Field(default=None, max_length=100_000)
    exclude: list[str] | None = Field(default=None, max_length=100_000)
    where: str | None = Field(default=None, max_length=10_000)
    at_most: int | None = Field(default=None, ge=1)
    per: str | None = Field(default=None, max_length=1000)
    include_seen: bool = False


class CypherQuestion(BaseModel, extra="forbid"):
    """A read-only query."""

    query: str = Field(min_length=1, max_length=100_000)
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    limit: int = Field(default=100, ge=1, le=10_000)
    timeout: float = Field(default=10.0, gt=0, le=30)


def routes(explorer: Explorer) -> APIRouter:
    """Every question under `/api`."""
    api = APIRouter(prefix="/api", responses=_FAILURES)

    @api.get("/overview")
    def overview() -> OverviewAnswer:
        """The graph in numbers, and what its build left out."""
        return explorer.overview()

    @api.get("/item")
    def item(id: Name) -> ItemAnswer:
        """All that the graph holds of an item."""
        return explorer.item(id)

    @api.get("/user")
    def user(id: Name) -> UserAnswer:
        """All that the graph holds of a user."""
        return explorer.user(id)

    @api.get("/search")
    def search(q: Name, by: By = "words", k: Count = 20) -> Found:
        """Items by words of their titles and texts, or by what a sentence means (`by=text`; `image` and `audio` where
        one encoder embeds words, too)."""
        return explorer.search(q, by, k)

    @api.get("/similar")
    def similar(item: Name, by: Literal["model", "text", "image", "audio"] = "model", k: Count = 10) -> list[Ranked]:
        """The items most alike, best first."""
        return explorer.similar(item, by, k)

    @api.get("/recommend")
    def recommend(user: Name, k: Count = 10) -> RecommendedTo:
        """The best items that a user has not chosen yet, best first."""
        return explorer.recommend([user], k)[0]

    @api.post("/recommend")
    def recommend_many(question: RecommendQuestion) -> list[RecommendedTo]:
        """The same for many, for people whom the model never met, and among some items only."""
        return explorer.recommend_asked(question.model_dump())

    @api.get("/explain")
    def explain(user: Name, item: Name, limit: Annotated[int, Query(ge=1, le=100)] = 10) -> dict[str, JsonValue]:
        """The graph's paths behind a recommendation, and what the score is made of."""
        return explorer.explain(user, item, limit=limit).to_json()

    @api.post("/cypher")
    def cypher(question: CypherQuestion) -> RowsAnswer:
        """The rows of a read-only query."""
        return explorer.cypher(question.query, question.parameters, limit=question.limit, timeout=question.timeout)

    @api.get("/graph")
    def graph(
        label: Annotated[str, Query(max_length=100)],
        id: Name,
        type: Annotated[list[str] | None, Query(max_length=20)] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 25,
    ) -> GraphAnswer:
        """A node and what it is linked to, at most `limit` links of each kind."""
        return explorer.around(label, id, type or [], limit)

    @api.post("/graph")
    def drawn(question: CypherQuestion) -> GraphAnswer:
        """The nodes and relationships that a read-only query returns, as a graph."""
        return explorer.drawn(question.query, question.parameters, timeout=question.timeout)

    @api.get("/why")
    def why(user: Name, item: Name, limit: Annotated[int, Query(ge=1, le=100)] = 10) -> GraphAnswer:
        """The paths of an explanation as a graph."""
        return explorer.drawing(explorer.explain(user, item, limit=limit))

    return api
