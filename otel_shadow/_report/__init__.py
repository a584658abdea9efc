"""Documents of tables and texts, and their drawing on the terminal, as a page and as JSON; OTLP export of verdicts."""
