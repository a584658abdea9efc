"""Better settings from the shadow's pairs: thresholds, time limits, coverage of intents.

``fixed_sequence``, ``timeout``, ``router``, ``coverage`` and ``gaps`` are pure: facts in, proposals out. Reading is in
``pairs``, ``labels``, ``conversations`` and ``corpus``, writing in ``proposal_file``, ``screen`` and ``page``;
``command`` joins them.
"""
