//! Table connectors: one directory each, with its declaration, source and sink.
