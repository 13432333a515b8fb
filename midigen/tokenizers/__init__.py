"""Music on the grid to token ids and back.

``vocabulary`` is the one table of tokens, ``spelling`` writes cells with it, ``window`` lays cells out as a sequence,
``grammar`` tells which token may come next, and ``band`` is the same tokenizer as a miditok ``MusicTokenizer``.
Only ``band`` needs miditok: training and composing need numpy alone.
"""
