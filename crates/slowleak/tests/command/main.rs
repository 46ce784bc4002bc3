//! The program as a user types it: commands, files and exit codes, through the real binary.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a helper that fails ends its test")]

mod bad_input;
mod demo;
mod enumeration;
mod exit_codes;
mod gaps;
mod help;
mod hostile;
mod inspect;
mod nightly;
mod outputs;
mod reconnaissance;
mod replay;
mod reproducible;
mod rules;
mod support;
mod suppress;
mod webhook;
