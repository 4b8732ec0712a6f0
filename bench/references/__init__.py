"""The same job as most people write it: what the gateway is compared with. Each is a program of its own."""
