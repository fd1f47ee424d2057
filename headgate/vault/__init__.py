"""Vault (or OpenBao): secrets that gateway.yaml refers to by `vault:`, and the key that data keys are wrapped by.

One place per host signs in: the supervisor (`following`). It reads what is referred to and keeps it in files of the
`secrets` folder; everybody else reads those (`files`). Who wraps data keys uses the token that it keeps there.
"""
