"""The gRPC face: servicers, errors as statuses, and the assembly of a server."""
