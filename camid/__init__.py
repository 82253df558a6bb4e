"""camid: which physical camera took a photograph, from the noise of its sensor.

Everything in this package is a pure function over arrays and records, except ``camid.runtime``,
which alone knows Ray and MLflow, and the command lines on top of it.
"""
