"""Knowing engines: one task per replica asks how it is, what it serves, how busy it is. Nothing here starts one."""
