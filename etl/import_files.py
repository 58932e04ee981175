"""Tables and media as files for Neo4j's bulk import: the same nodes and relationships as `load_graph` writes."""

from pathlib import Path

from etl.load import graph_nodes, graph_relationships, graph_schema
from etl.media import MediaGraph
from etl.tables import Tables
from graph.neo4j.bulk_import import ImportFiles, write_files


def write_import(folder: Path, tables: Tables, media: MediaGraph) -> ImportFiles:
    """Write the files of validated, split tables and their media into `folder`."""
    nodes = dict(graph_nodes(tables, media))
    schema = graph_schema(nodes, media)
    return write_files(folder, schema, nodes.items(), graph_relationships(tables, media))
