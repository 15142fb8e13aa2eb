//! Tells the program that links, addresses, neighbours, routes or rules may have changed (`rtnetlink(7)`): it then
//! asks the kernel anew where packets go.
//!
//! What the news say does not matter, only that there are some. They are heard once a tick at most, however many
//! there are: neighbours come and go all the time.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};

use aya::maps::{Array, MapData};

use crate::netlink::{self, CHANGES};

/// Times that news are read in one tick.
const MOST: usize = 64;

/// The number that the program compares.
pub(crate) type Number = Array<MapData, u32>;

/// A connection to the kernel, and the number.
pub(crate) struct News {
    /// Opened when it is asked for first, in the worker's own thread.
    socket: Option<File>,
    number: Number,
}

impl fmt::Debug for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let socket = &self.socket;
        f.debug_struct("News")
            .field("socket", socket)
            .finish_non_exhaustive()
    }
}

impl News {
    pub(crate) const fn new(number: Number) -> Self {
        Self {
            socket: None,
            number,
        }
    }

    /// Passes on that there were news since the last time, if there were. The first time it begins to listen.
    /// Where it cannot, there might be some each time.
    pub(crate) fn pass_on(&mut self) -> io::Result<()> {
        let heard = self.listen().map(hear);
        if !matches!(heard, Ok(false)) {
            let now = self.number.get(&0, 0).map_err(io::Error::other)?;
            let next = now.wrapping_add(1);
            self.number.set(0, next, 0).map_err(io::Error::other)?;
        }
        heard.map(drop)
    }

    fn listen(&mut self) -> io::Result<&mut File> {
        match &mut self.socket {
            Some(socket) => Ok(socket),
            none => Ok(none.insert(netlink::open(CHANGES)?)),
        }
    }
}

/// Whether anything was told. Where more was told than there is room for, something was; what is left after
/// [`MOST`] is there at the next tick, for the worker has packets to see to.
fn hear(socket: &mut File) -> bool {
    let mut bytes = [0; 8192];
    for heard in 0..MOST {
        match socket.read(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return heard > 0,
            Ok(_) | Err(_) => {}
        }
    }
    true
}
