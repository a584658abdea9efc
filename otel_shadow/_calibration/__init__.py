"""Better settings from the shadow's pairs: thresholds, time limits, coverage of intents.

``fixed_sequence``, ``timeout``, ``router`` and ``coverage`` are pure: facts in, proposals out. Reading is in ``pairs``,
``labels`` and ``corpus``, writing in ``proposal_file`` and ``calibration_document``; ``command`` joins them.
"""
