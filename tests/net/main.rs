//! The real daemon in network namespaces, driven over NG by phones made of sockets.
#![forbid(unsafe_code)]

mod relaying;
