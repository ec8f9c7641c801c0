"""The peers, each in a process and an environment of its own.

All of them tell, when asked by `process.Child`: `time_rows(count)`, the seconds that
all they can do takes in a row; and `call_rate(concurrency, duration)`, their calls per
second and the microseconds of CPU time each.
"""
