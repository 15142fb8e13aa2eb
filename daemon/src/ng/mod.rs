//! The control loop and what it listens to.

mod cache;
