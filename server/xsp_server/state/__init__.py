"""Caps and budgets that can't be passed: one backend protocol, stores behind it, rules on top."""
