"""`strike simulate`: the whole system in one process, on simulated time, with random bad luck.

The parts are the real ones: domain, process application, workers' rules, the Twilio and Render
adapters with their SDKs, the webhook handlers, and the mock of Twilio and Render. Only what joins
them is replaced: sockets by calls, PostgreSQL by the library's in-memory recorder, threads by
fibres, and the clock by one that jumps to whatever is next. So one seed is one story, event for
event, and a story of hours takes a fraction of a second.
"""
