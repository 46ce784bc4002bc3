//! The program as a user types it: commands, files and exit codes, through the real binary.

mod bad_input;
mod demo;
mod exit_codes;
mod help;
mod hostile;
mod inspect;
mod outputs;
mod reproducible;
mod support;
