//! libsrtp 2 as it is installed, which takes one packet at a time.

use patchcord_libsrtp::{Session, Srtp};
use patchcord_media::srtp::{Keys, Protocol, Suite};

use crate::{BATCH, Round, master, packet};

pub(crate) fn round(suite: Suite, len: usize) -> Option<Round> {
    let library = Srtp::open()?;
    let mut sessions = (0..BATCH)
        .map(|n| {
            let keys = Keys::from_inline(suite, &master(suite, n)).expect("lengths");
            Some((library.sender(&keys)?, library.receiver(&keys)?))
        })
        .collect::<Option<Vec<(Session, Session)>>>()?;
    let plain: Vec<Vec<u8>> = (0..BATCH).map(|n| packet(n, 0, len)).collect();
    let mut buffers = vec![[0; 2048]; BATCH];
    Some(Box::new(move |sequence| {
        for ((buffer, plain), (sender, receiver)) in
            buffers.iter_mut().zip(&plain).zip(&mut sessions)
        {
            buffer[..len].copy_from_slice(plain);
            buffer[2..4].copy_from_slice(&sequence.to_be_bytes());
            let sealed = sender.protect(Protocol::Rtp, buffer, len);
            let sealed = sealed.expect("a fresh index");
            let opened = receiver.unprotect(Protocol::Rtp, buffer, sealed);
            assert_eq!(opened, Ok(len), "the tag holds");
        }
    }))
}
