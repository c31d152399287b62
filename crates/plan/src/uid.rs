//! Stable identities of operators, so that state finds its operator again after a restart.
