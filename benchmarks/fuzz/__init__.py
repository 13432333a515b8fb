"""Broken files against every reader: what may come out is a reading, or one of midigen's own errors in one line.

    python -m benchmarks.fuzz                                   every reader, 2,000 broken files each
    python -m benchmarks.fuzz midi --cases 100000               MIDI files alone, as many as that
    python -m benchmarks.fuzz midi --case 4711 --seed 1         one case again, with its traceback
    python -m benchmarks.fuzz.coverage midi -max_total_time=600 guided by coverage (needs atheris)

A case is made from the seed and its number alone, so that each can be had again. It fails with another exception, an
error of several lines, more than ten seconds, more than 500 MB, or the end of the process.
"""
