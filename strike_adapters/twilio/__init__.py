"""Telephone calls through Twilio: placing them, believing its webhooks, speaking its TwiML.

https://www.twilio.com/docs/voice
"""
