"""Run rewritten LangGraph nodes (V2) in shadow beside production (V1), and know when they may go live."""
