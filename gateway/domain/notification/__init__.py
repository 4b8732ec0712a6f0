"""Who is told what and when: the planner and its parts.

`planner` takes facts and the time; `muting` decides what is not told, `gathering` what waits, `noise` when it is too
much; `followup` asks again. They write on one `desk`, and what must be remembered is in `cases`.
"""
