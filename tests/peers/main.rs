//! Real SIP peers through a real proxy, with the relay under test in between.
#![forbid(unsafe_code)]

mod baresip;
mod ice;
mod linphone;
mod proxy;
mod scene;
mod sipp;

mod calls;
mod dtls;
mod phones;
mod rekey;
mod secure;
mod web;
