"""Everything that depends on LangGraph: wrapping of nodes, capture, isolation, V2's run, decision."""
