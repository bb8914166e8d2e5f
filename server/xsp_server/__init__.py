"""XSP server."""
