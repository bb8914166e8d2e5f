"""VAST 2.0 to 4.3: documents to messages and back, and chains of them followed to the final ad."""
