"""OpenRTB as values: JSON and messages, money. Pure: no I/O, no clock."""
