//! Real browsers call and are called through a real proxy, with the relay in between as WebRTC's other end.
//!
//! A page is a phone: JsSIP over Kamailio's WebSocket, a tone from WebAudio, an analyser that tells which one is
//! heard. Reading order: [`pages`], [`wire`], [`browser`], [`scene`], then the cases.

mod browser;
mod chromium;
mod firefox;
mod pages;
mod player;
mod scene;
mod turn;
mod wire;

mod calls;
mod changes;
mod linphones;
mod opensips;
mod operator;
mod paths;
mod recipes;
mod video;
