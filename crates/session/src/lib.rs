//! Statements: catalog changes, SHOW, EXPLAIN, submitting jobs, results. The front door of the library.
