"""The second stage: a retriever's first candidates, ordered anew by trees over the graph's own evidence."""
