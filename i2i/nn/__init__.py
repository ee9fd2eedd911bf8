"""Networks and their parts: functions, layers, norms, attention, generators, discriminators, losses, features."""
