//! What `verify` compares the responses of the edge with.

#![allow(dead_code, reason = "the command is not here yet")]

mod local_file;
