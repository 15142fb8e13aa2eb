//! Sessions of libsrtp 2, as `<srtp2/srtp.h>` declares them.
#![expect(
    clippy::cast_possible_wrap,
    clippy::multiple_unsafe_ops_per_block,
    reason = "C's lengths are signed, and one header vouches for all signatures"
)]

use std::ffi::{c_int, c_uint, c_ulong, c_void};
use std::ptr;
use std::sync::OnceLock;

use patchcord_media::srtp::{Keys, Protocol, Suite};

use crate::library::Library;

/// What libsrtp says instead of doing something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The tag is wrong.
    Auth,
    /// The index was received before.
    Replayed,
    /// The index is too old to tell.
    Old,
    /// Something else, by its number.
    Other(c_int),
}

impl Status {
    const fn of(status: c_int) -> Result<(), Self> {
        match status {
            0 => Ok(()),
            7 => Err(Self::Auth),
            9 => Err(Self::Replayed),
            10 => Err(Self::Old),
            other => Err(Self::Other(other)),
        }
    }
}

type Context = *mut c_void;
type Call = unsafe extern "C" fn(Context, *mut c_void, *mut c_int, c_uint, c_uint) -> c_int;
type Uncall = unsafe extern "C" fn(Context, *mut c_void, *mut c_int, c_uint) -> c_int;

/// The library.
#[derive(Debug)]
pub struct Srtp {
    create: unsafe extern "C" fn(*mut Context, *const Policy) -> c_int,
    free: unsafe extern "C" fn(Context) -> c_int,
    protect: Call,
    protect_rtcp: Call,
    unprotect: Uncall,
    unprotect_rtcp: Uncall,
}

#[repr(C)]
struct CryptoPolicy {
    cipher: u32,
    key_len: c_int,
    auth: u32,
    auth_key_len: c_int,
    tag_len: c_int,
    services: c_uint,
}

#[repr(C)]
struct MasterKey {
    key: *const u8,
    mki: *const u8,
    mki_len: c_uint,
}

#[repr(C)]
struct Policy {
    ssrc_type: c_uint,
    ssrc: c_uint,
    rtp: CryptoPolicy,
    rtcp: CryptoPolicy,
    key: *const u8,
    keys: *const *const MasterKey,
    keys_len: c_ulong,
    deprecated: *const c_void,
    window: c_ulong,
    repeats: c_int,
    extensions: *const c_int,
    extensions_len: c_int,
    next: *const c_void,
}

/// Which direction a session is for.
const ANY_INBOUND: c_uint = 2;
const ANY_OUTBOUND: c_uint = 3;
/// Confidentiality and authentication.
const CONF: c_uint = 1;
const AUTH: c_uint = 2;

impl Srtp {
    /// The library, if it is installed.
    pub fn open() -> Option<&'static Self> {
        static LIBRARY: OnceLock<Option<Srtp>> = OnceLock::new();
        LIBRARY.get_or_init(Self::load).as_ref()
    }

    fn load() -> Option<Self> {
        let library = Library::open(c"libsrtp2.so.1")?;
        // SAFETY: this is its signature in <srtp2/srtp.h>.
        let init: unsafe extern "C" fn() -> c_int = unsafe { library.function(c"srtp_init") }?;
        // SAFETY: called once, before anything else of the library.
        (unsafe { init() } == 0).then_some(())?;
        // SAFETY: these are the signatures in <srtp2/srtp.h>.
        unsafe {
            Some(Self {
                create: library.function(c"srtp_create")?,
                free: library.function(c"srtp_dealloc")?,
                protect: library.function(c"srtp_protect_mki")?,
                protect_rtcp: library.function(c"srtp_protect_rtcp_mki")?,
                unprotect: library.function(c"srtp_unprotect_mki")?,
                unprotect_rtcp: library.function(c"srtp_unprotect_rtcp_mki")?,
            })
        }
    }

    /// A session that sends, under keys with a suite that this build of the library has.
    pub fn sender(&'static self, keys: &Keys) -> Option<Session> {
        self.session(keys, ANY_OUTBOUND)
    }

    /// A session that receives.
    pub fn receiver(&'static self, keys: &Keys) -> Option<Session> {
        self.session(keys, ANY_INBOUND)
    }

    fn session(&'static self, keys: &Keys, direction: c_uint) -> Option<Session> {
        let parameters = keys.parameters();
        let master = MasterKey {
            key: keys.inline().as_ptr(),
            mki: keys.mki().map_or(ptr::null(), <[u8]>::as_ptr),
            mki_len: keys.mki().map_or(0, <[u8]>::len) as c_uint,
        };
        let masters = [&raw const master];
        let policy = Policy {
            ssrc_type: direction,
            ssrc: 0,
            rtp: crypto(
                keys.suite(),
                keys.suite().rtp_tag_len(),
                parameters.encrypts_rtp,
                parameters.authenticates_rtp,
            )?,
            rtcp: crypto(
                keys.suite(),
                keys.suite().rtcp_tag_len(),
                parameters.encrypts_rtcp,
                true,
            )?,
            key: ptr::null(),
            keys: masters.as_ptr(),
            keys_len: 1,
            deprecated: ptr::null(),
            window: 512,
            repeats: 0,
            extensions: ptr::null(),
            extensions_len: 0,
            next: ptr::null(),
        };
        let mut context = ptr::null_mut();
        // SAFETY: the policy and the keys it points to outlive the call, which copies them.
        let status = unsafe { (self.create)(&raw mut context, &raw const policy) };
        (status == 0).then_some(Session {
            library: self,
            context,
            has_mki: c_uint::from(keys.mki().is_some()),
        })
    }
}

fn crypto(suite: Suite, tag: usize, encrypts: bool, authenticates: bool) -> Option<CryptoPolicy> {
    let cipher = match suite {
        Suite::NullSha1_80 | Suite::NullSha1_32 => 0,
        Suite::AesCm128Sha1_80 | Suite::AesCm128Sha1_32 => 1,
        Suite::AesCm256Sha1_80 | Suite::AesCm256Sha1_32 => 5,
        Suite::AeadAes128Gcm => 6,
        Suite::AeadAes256Gcm => 7,
        // It has no f8, and derives the session keys of 192-bit suites otherwise than the vectors of
        // RFC 6188 §7.4, which ours follow.
        Suite::F8_128Sha1_80
        | Suite::F8_128Sha1_32
        | Suite::AesCm192Sha1_80
        | Suite::AesCm192Sha1_32 => return None,
    };
    let (auth, auth_key_len) = if suite.is_aead() || !authenticates {
        (0, 0)
    } else {
        (3, 20)
    };
    let encrypts = encrypts && cipher != 0;
    Some(CryptoPolicy {
        cipher,
        key_len: (suite.key_len() + suite.salt_len()) as c_int,
        auth,
        auth_key_len,
        tag_len: if authenticates { tag as c_int } else { 0 },
        services: if encrypts { CONF } else { 0 } | if authenticates { AUTH } else { 0 },
    })
}

/// A session of one direction.
#[derive(Debug)]
pub struct Session {
    library: &'static Srtp,
    context: Context,
    has_mki: c_uint,
}

impl Session {
    /// Bytes that have to be free behind a packet to be protected.
    pub const ROOM: usize = 16 + 128 + 4;

    /// Protects the first `len` bytes of the buffer in place; gives the new length.
    ///
    /// # Panics
    /// If there are less than [`Self::ROOM`] bytes behind them.
    pub fn protect(
        &mut self,
        protocol: Protocol,
        buffer: &mut [u8],
        len: usize,
    ) -> Result<usize, Status> {
        assert!(len + Self::ROOM <= buffer.len(), "room for what is added");
        let call = match protocol {
            Protocol::Rtp => self.library.protect,
            Protocol::Rtcp => self.library.protect_rtcp,
        };
        let mut len = len as c_int;
        let place = buffer.as_mut_ptr().cast();
        // SAFETY: the context is live and used by one thread; the packet and the room behind it are
        // the buffer's.
        let status = unsafe { call(self.context, place, &raw mut len, self.has_mki, 0) };
        Status::of(status).map(|()| len as usize)
    }

    /// Unprotects the first `len` bytes of the buffer in place; gives the new length.
    ///
    /// # Panics
    /// If the buffer is shorter.
    pub fn unprotect(
        &mut self,
        protocol: Protocol,
        buffer: &mut [u8],
        len: usize,
    ) -> Result<usize, Status> {
        assert!(len <= buffer.len(), "a packet lies within its buffer");
        let call = match protocol {
            Protocol::Rtp => self.library.unprotect,
            Protocol::Rtcp => self.library.unprotect_rtcp,
        };
        let mut len = len as c_int;
        let place = buffer.as_mut_ptr().cast();
        // SAFETY: the context is live and used by one thread; the packet is the buffer's.
        let status = unsafe { call(self.context, place, &raw mut len, self.has_mki) };
        Status::of(status).map(|()| len as usize)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: the context is live, and not used afterwards.
        unsafe { (self.library.free)(self.context) };
    }
}
