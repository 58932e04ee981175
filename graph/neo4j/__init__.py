"""The Neo4j store, over the official driver."""
