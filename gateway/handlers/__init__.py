"""Who tells somebody: one file for each type of handler, and one line for it in the table below."""

BUILT_IN = {  # by name, so that only what the configuration asks for is imported
    "apprise": "gateway.handlers.apprise:AppriseHandler",
    "email": "gateway.handlers.mail.handler:EmailHandler",
    "log": "gateway.handlers.log:LogHandler",
    "memory": "gateway.handlers.memory:MemoryHandler",
    "sms": "gateway.handlers.sms:SmsHandler",
    "webhook": "gateway.handlers.webhook:WebhookHandler",
}
FOREIGN = {"apprise"}
"""Built-in types that run other people's code."""
