"""What a bundle tells whoever has to check it, and has no Strike."""

README = """\
EVIDENCE OF ONE EMERGENCY CALLOUT
=================================

This file was exported by Osprey Strike, which called somebody out to a damaged cable and wrote down
what happened. Everything below can be checked with the tools that any Unix has, without Strike.

manifest.json        which callout, which companies, when it was exported and by whom, and the
                     SHA-256 of every other file
events.jsonl         everything that happened, one event a line, in the order in which it was stored
calls.json           every telephone call: its moments, the keys pressed, how it ended
timeline.txt         the same events in words, for people
response_times.json  how long it took until somebody accepted, work began, was done, was closed
map.svg              where it was

Times are UTC. Coordinates are WGS 84, longitude first. In events.jsonl telephone numbers always
have their last four digits only; in calls.json they are in full where "phone_numbers" in
manifest.json says so, which is in the contractor's own export.

1. THE FILES ARE THOSE OF THE MANIFEST
--------------------------------------
Every other file has the SHA-256 that manifest.json states, and "seal" is that of manifest.json
itself without the line of the seal. Both commands must say OK:

    sed -n 's/^    "\\([A-Za-z_.]*\\)": "\\([0-9a-f]\\{64\\}\\)",*$/\\2  \\1/p' manifest.json |
        sha256sum -c
    test "$(grep -v '^  "seal": ' manifest.json | sha256sum | cut -c1-64)" = \\
        "$(sed -n 's/^  "seal": "\\(.*\\)"$/\\1/p' manifest.json)" && echo "manifest.json: OK"

2. THE EVENTS ARE ONE CHAIN
---------------------------
"hash" at the end of a line is the SHA-256 of the line without it (and with the closing bracket);
"previous" is the hash of the line before, 64 zeros in the first. So nothing can be changed, taken
out, put in or moved without changing every line after it, and the last hash: the head of the
chain. This must end with the "head" that manifest.json states, and say nothing else:

    previous=0000000000000000000000000000000000000000000000000000000000000000
    while IFS= read -r line; do
        body=$(printf '%s' "$line" | sed 's/,"hash":"[0-9a-f]\\{64\\}"}$/}/')
        hash=$(printf '%s' "$body" | sha256sum | cut -c1-64)
        case "$line" in *",\\"hash\\":\\"$hash\\"}") ;; *) echo "changed: $line" ;; esac
        case "$line" in *"\\"previous\\":\\"$previous\\""*) ;; *) echo "not in order: $line" ;; esac
        previous=$hash
    done < events.jsonl
    echo "head: $previous"

3. NOTHING IS MISSING IN BETWEEN
--------------------------------
The events belong to the callout itself and to each ring-down of a list of people ("aggregate").
Of each, "version" counts 1, 2, 3 without a gap.

4. THE OTHER FILES SAY WHAT THE EVENTS SAY
------------------------------------------
Read them side by side; or, where Strike is installed, `strike verify FILE` makes calls.json,
timeline.txt, response_times.json and map.svg anew from the events and compares them.

WHAT THIS PROVES, AND WHAT IT DOES NOT
--------------------------------------
It proves that the file is as it was exported, and says one thing in all its parts. By itself it
does not prove that whoever exported it did not write another history and a chain to go with it, or
leave out the end. Against that helps the head of the chain, if it was told to somebody else at the
time: an export made later begins with the same lines, so the earlier head is the hash of one of
them. NOC and contractor export the same chain, each from its own access; and with access to the
log, `strike verify FILE --against` compares all of it. Who did something, and when, is what Strike
was told by its login, its clock and the telephone company.
"""
