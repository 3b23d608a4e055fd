"""One bad night out of as many as you like: the whole system on simulated time, by seed.

People sleep, decline and press late; webhooks are lost, doubled and forged; processes die. The same
seed is the same night, event for event. Run it with `python examples/03_a_bad_night.py [seed]`.
"""

import sys

from strike_app.simulate.command import judge
from strike_app.simulate.report import lines
from strike_app.simulate.story import tell

seed = int(sys.argv[1]) if len(sys.argv) > 1 else 5
first, again = judge(seed), judge(seed)  # Tells the night, and checks what must hold after each.
print(f"Seed {seed}: {first.counts['callouts']} callouts, {first.counts['calls']} calls,", end=" ")
print(f"{first.counts['deaths']} deaths of processes, {sum(first.faults.values())} faults")
print("What is wrong:", first.broken or "nothing")
print("The same again:", first.digest == again.digest)
for line in lines(tell(seed)):
    print(line)
