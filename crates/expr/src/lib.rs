//! The vectorised evaluator: typed expressions over columns.
