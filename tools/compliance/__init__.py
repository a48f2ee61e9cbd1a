"""Checks what Helios is built from: licences, bill of materials, vulnerabilities.

`docs/COMPLIANCE.md` says what is checked and when; `compliance.toml` is the policy.
"""
