"""Named questions to the graph, in the Cypher that both stores run.

recipe = find("popular-items")
store.query(recipe.cypher, recipe.arguments({"limit": 5}))
"""

from collections.abc import Mapping

from common.text import suggestion
from graph.cookbook.catalogue import CATALOGUE
from graph.cookbook.people import PEOPLE
from graph.cookbook.recipe import Recipe
from graph.cookbook.similarity_search import SEARCHES
from graph.errors import GraphError

__all__ = ["COOKBOOK", "Recipe", "find"]

COOKBOOK: Mapping[str, Recipe] = {r.name: r for r in sorted((*CATALOGUE, *PEOPLE), key=lambda r: r.name)}
"""Name -> recipe, in the order of their names."""


def find(name: str) -> Recipe:
    """A recipe by its name; `GraphError` that names the nearest one where there is none."""
    if name not in COOKBOOK:
        hint = suggestion(name, (*COOKBOOK, *SEARCHES), "it has")
        raise GraphError(f"the cookbook has no query {name!r}; {hint}")
    return COOKBOOK[name]
