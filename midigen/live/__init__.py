"""Playing while composing: the music is heard bar by bar, and may be changed, while it is written.

One thread composes (:mod:`~midigen.composition.live`) and hands its bars on (:mod:`~midigen.live.handover`); another
plays them (:mod:`~midigen.live.transport`) with the band (:mod:`~midigen.live.band`), or sends them to a MIDI port
(:mod:`~midigen.live.ports`). What it plays goes to a sound file or through a ring of samples to the system's audio
(:mod:`~midigen.live.sinks`), whose callback only copies. :class:`~midigen.live.playing.Live` holds it together.
"""
