"""Each follows the journal with a durable cursor of its own: a table of the built-in ones is in app.py."""
