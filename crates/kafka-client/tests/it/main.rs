//! Tests of the client against a scripted broker in the same process, in virtual time, and of its connections against
//! the same broker behind a loopback socket.

mod admin;
mod config;
mod fake;
mod fetch;
mod produce;
mod tcp;
mod transactions;
