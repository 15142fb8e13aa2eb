//! libsrtp as an oracle for our own SRTP: the library of the system, opened at run time, so that
//! nothing here needs it to be built.

mod library;
mod session;

pub use library::Library;
pub use session::{Session, Srtp, Status};
