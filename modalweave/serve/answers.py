"""What the explorer answers: the pages show it, the JSON API sends it."""

from typing import Any

from pydantic import BaseModel, Field, JsonValue


class Card(BaseModel):
    """An item in a list."""

    id: str
    title: str | None = None
    picture: str | None = None
    """SHA-256 of its first picture; `/media/SHA256` shows it."""


class Ranked(Card):
    """An item at a place of a list."""

    rank: int
    score: float
    """Compares items of one list only."""


class Recommended(Ranked):
    """An item that a person is recommended."""

    source: str
    """What ranked it: `model`, `popularity` or `content`."""


class RecommendedTo(BaseModel):
    """The list of one person."""

    user: str
    items: list[Recommended]


class Medium(BaseModel):
    """A text, picture or sound of an item."""

    id: str
    """SHA-256 of its content."""
    modality: str
    role: str | None = None
    uri: str | None = None
    content: str | None = None
    model: str | None = None
    """The language model that wrote it; None for what the catalogue has."""
    facts: dict[str, JsonValue] = Field(default_factory=dict)
    """`width`, `height`, `duration` (seconds), `sample_rate`, `lang`."""


class Fact(BaseModel):
    """A link of an item to an entity."""

    relation: str
    id: str
    name: str | None = None
    type: str | None = None
    model: str | None = None
    """The language model that found it; None for what the catalogue says."""
    evidence: str | None = None
    """What that was read from: words of the item, or a picture's id."""


class Choice(Card):
    """An item of a person's history."""

    weight: float | None = None
    timestamp: int | None = None
    """Seconds since 1970."""
    split: str | None = None


class Chooser(BaseModel):
    """A person who chose an item."""

    id: str
    weight: float | None = None
    timestamp: int | None = None
    split: str | None = None


class Counted(BaseModel):
    """A name and how often it is there."""

    name: str
    count: int


class Alike(BaseModel):
    """Items alike in one modality, best first."""

    modality: str
    items: list[Ranked]


class ItemAnswer(Card):
    """All that the graph holds of an item."""

    attributes: dict[str, JsonValue]
    media: list[Medium]
    facts: list[Fact]
    alike: list[Alike]
    chosen: int
    """How many people chose it."""
    choosers: list[Chooser]
    """The first of them, newest first."""
    months: list[Counted]
    """Choices by month, where their time is known."""
    recommended_to: list[str]
    """People to whom lists in the graph recommend it, best places first."""


class Taste(BaseModel):
    """Entities that a person's choices share."""

    relation: str
    id: str
    name: str | None
    count: int


class UserAnswer(BaseModel):
    """All that the graph holds of a person."""

    id: str
    attributes: dict[str, JsonValue]
    chosen: int
    history: list[Choice]
    """The first choices, newest first."""
    modalities: list[Counted]
    """Of the choices in training: how many have which media."""
    taste: list[Taste]
    friends: list[str]
    known: bool | None
    """Whether the model has met them; None without a model."""


class Product(BaseModel):
    """A file of the run that people look at."""

    name: str
    made: str
    """When, ISO 8601."""


class Quarantined(BaseModel):
    """Media and rows that a build left out for one reason."""

    modality: str
    reason: str
    count: int
    examples: list[str]


class OverviewAnswer(BaseModel):
    """The graph in numbers."""

    name: str
    store: str
    nodes: dict[str, int]
    relationships: dict[str, int]
    coverage: dict[str, float]
    """Modality -> share of items that have it."""
    notices: list[str]
    """What a person should know first: what is missing, what to run."""
    quarantine: list[Quarantined]
    model: str | None
    details: dict[str, JsonValue]
    """The build's coverage report; empty where there is none."""


class Person(BaseModel):
    """A user in a search."""

    id: str
    title: str | None = None


class Found(BaseModel):
    """What a search found."""

    by: str
    items: list[Ranked]
    users: list[Person] = Field(default_factory=list)
    entities: list[Fact] = Field(default_factory=list)


class RowsAnswer(BaseModel):
    """The rows of a query."""

    columns: list[str]
    rows: list[list[Any]]
    cut: bool
    """Whether there are more rows than the limit."""
    seconds: float
    notes: list[str] = Field(default_factory=list)


class Node(BaseModel):
    """A node to draw."""

    key: str
    label: str
    id: str | None
    caption: str
    picture: str | None = None
    marked: bool = False
    """What the drawing is about."""
    properties: dict[str, JsonValue] = Field(default_factory=dict)


class Link(BaseModel):
    """A relationship to draw, by the keys of its ends."""

    source: str
    target: str
    type: str
    properties: dict[str, JsonValue] = Field(default_factory=dict)


class GraphAnswer(BaseModel):
    """A part of the graph."""

    nodes: list[Node]
    links: list[Link]
    cut: bool
    """Whether more lies beyond the limit."""


class Failure(BaseModel):
    """Why there is no answer, in one line."""

    error: str
