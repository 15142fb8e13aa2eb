//! OpenSSL by its EVP calls with contexts that are kept, which is how libsrtp uses it.
#![expect(
    clippy::cast_possible_wrap,
    clippy::multiple_unsafe_ops_per_block,
    reason = "C's lengths are signed, and one header vouches for all signatures"
)]

use std::ffi::{c_int, c_uchar, c_uint, c_void};
use std::ptr;

use patchcord_media::srtp::Suite;

use crate::{BATCH, Round, master, packet};
use patchcord_libsrtp::Library;

const SET_TAG: c_int = 0x11;
const GET_TAG: c_int = 0x10;

type Context = *mut c_void;

/// What is used of libcrypto.
#[derive(Clone, Copy)]
struct Evp {
    new: unsafe extern "C" fn() -> Context,
    init: unsafe extern "C" fn(
        Context,
        *const c_void,
        *const c_void,
        *const c_uchar,
        *const c_uchar,
        c_int,
    ) -> c_int,
    update: unsafe extern "C" fn(Context, *mut c_uchar, *mut c_int, *const c_uchar, c_int) -> c_int,
    last: unsafe extern "C" fn(Context, *mut c_uchar, *mut c_int) -> c_int,
    control: unsafe extern "C" fn(Context, c_int, c_int, *mut c_void) -> c_int,
    hmac_new: unsafe extern "C" fn() -> Context,
    hmac_init:
        unsafe extern "C" fn(Context, *const c_void, c_int, *const c_void, *const c_void) -> c_int,
    hmac_update: unsafe extern "C" fn(Context, *const c_uchar, usize) -> c_int,
    hmac_last: unsafe extern "C" fn(Context, *mut c_uchar, *mut c_uint) -> c_int,
    cipher: unsafe extern "C" fn() -> *const c_void,
    sha1: unsafe extern "C" fn() -> *const c_void,
}

impl Evp {
    fn open(suite: Suite) -> Option<Self> {
        let library = Library::open(c"libcrypto.so.3")?;
        let cipher = match (suite.is_aead(), suite.key_len()) {
            (true, 16) => c"EVP_aes_128_gcm",
            (true, _) => c"EVP_aes_256_gcm",
            (false, 32) => c"EVP_aes_256_ctr",
            (false, _) => c"EVP_aes_128_ctr",
        };
        // SAFETY: these are the signatures in <openssl/evp.h> and <openssl/hmac.h>.
        unsafe {
            Some(Self {
                new: library.function(c"EVP_CIPHER_CTX_new")?,
                init: library.function(c"EVP_CipherInit_ex")?,
                update: library.function(c"EVP_CipherUpdate")?,
                last: library.function(c"EVP_CipherFinal_ex")?,
                control: library.function(c"EVP_CIPHER_CTX_ctrl")?,
                hmac_new: library.function(c"HMAC_CTX_new")?,
                hmac_init: library.function(c"HMAC_Init_ex")?,
                hmac_update: library.function(c"HMAC_Update")?,
                hmac_last: library.function(c"HMAC_Final")?,
                cipher: library.function(cipher)?,
                sha1: library.function(c"EVP_sha1")?,
            })
        }
    }

    /// A cipher context with its key.
    fn keyed(&self, key: &[u8], encrypts: bool) -> Context {
        // SAFETY: the key is as long as the cipher's, and OpenSSL copies it.
        unsafe {
            let context = (self.new)();
            let none = ptr::null();
            let done = (self.init)(
                context,
                (self.cipher)(),
                ptr::null(),
                key.as_ptr(),
                none,
                c_int::from(encrypts),
            );
            assert_eq!(done, 1, "a cipher of OpenSSL");
            context
        }
    }

    /// An HMAC context with its key.
    fn hmac(&self, key: &[u8]) -> Context {
        // SAFETY: the key is as long as said, and OpenSSL copies it.
        unsafe {
            let context = (self.hmac_new)();
            let len = key.len() as c_int;
            let done = (self.hmac_init)(
                context,
                key.as_ptr().cast(),
                len,
                (self.sha1)(),
                ptr::null_mut(),
            );
            assert_eq!(done, 1, "HMAC of OpenSSL");
            context
        }
    }

    fn start(&self, context: Context, iv: &[u8]) {
        let none = ptr::null();
        // SAFETY: the context has its key and keeps it; the vector is as long as the cipher's.
        let done = unsafe { (self.init)(context, ptr::null(), ptr::null(), none, iv.as_ptr(), -1) };
        assert_eq!(done, 1, "a vector for OpenSSL");
    }

    fn cipher(&self, context: Context, data: &mut [u8]) {
        let (mut len, place) = (0, data.as_mut_ptr());
        // SAFETY: input and output are the same bytes, which OpenSSL allows.
        let done =
            unsafe { (self.update)(context, place, &raw mut len, place, data.len() as c_int) };
        assert_eq!(done, 1, "a cipher of OpenSSL");
    }

    fn aad(&self, context: Context, aad: &[u8]) {
        let mut len = 0;
        let none = ptr::null_mut();
        // SAFETY: without an output the input is associated data.
        let done = unsafe {
            (self.update)(
                context,
                none,
                &raw mut len,
                aad.as_ptr(),
                aad.len() as c_int,
            )
        };
        assert_eq!(done, 1, "associated data for OpenSSL");
    }

    fn finish(&self, context: Context) -> bool {
        let (mut len, mut rest) = (0, [0; 16]);
        // SAFETY: nothing is left to be written in these modes, and there is room for a block.
        unsafe { (self.last)(context, rest.as_mut_ptr(), &raw mut len) == 1 }
    }

    fn digest(&self, context: Context, data: &[u8]) -> [u8; 20] {
        let (mut digest, mut len) = ([0; 20], 0);
        // SAFETY: the context has its key and begins again; a digest of SHA-1 has 20 bytes.
        unsafe {
            (self.hmac_init)(context, ptr::null(), 0, ptr::null(), ptr::null_mut());
            (self.hmac_update)(context, data.as_ptr(), data.len());
            (self.hmac_update)(context, [0_u8; 4].as_ptr(), 4);
            (self.hmac_last)(context, digest.as_mut_ptr(), &raw mut len);
        }
        digest
    }
}

struct Session {
    seals: Context,
    opens: Context,
    hmac: Context,
    iv: [u8; 16],
}

pub(crate) fn round(suite: Suite, len: usize) -> Option<Round> {
    let evp = Evp::open(suite)?;
    let sessions: Vec<Session> = (0..BATCH)
        .map(|n| {
            let master = master(suite, n);
            let key = &master[..suite.key_len()];
            Session {
                seals: evp.keyed(key, true),
                opens: evp.keyed(key, false),
                hmac: evp.hmac(&[n as u8; 20]),
                iv: [n as u8; 16],
            }
        })
        .collect();
    let plain: Vec<Vec<u8>> = (0..BATCH).map(|n| packet(n, 0, len)).collect();
    let mut buffers = vec![[0; 2048]; BATCH];
    Some(Box::new(move |sequence| {
        for ((buffer, plain), session) in buffers.iter_mut().zip(&plain).zip(&sessions) {
            buffer[..len].copy_from_slice(plain);
            buffer[2..4].copy_from_slice(&sequence.to_be_bytes());
            let mut iv = session.iv;
            iv[8..10].copy_from_slice(&sequence.to_be_bytes());
            if suite.is_aead() {
                gcm(&evp, session, &iv[..12], buffer, len);
            } else {
                counter(&evp, session, &iv, buffer, len);
            }
        }
    }))
}

fn counter(evp: &Evp, session: &Session, iv: &[u8; 16], buffer: &mut [u8], len: usize) {
    evp.start(session.seals, iv);
    evp.cipher(session.seals, &mut buffer[12..len]);
    let tag = evp.digest(session.hmac, &buffer[..len]);
    buffer[len..len + 10].copy_from_slice(&tag[..10]);
    let tag = evp.digest(session.hmac, &buffer[..len]);
    assert_eq!(tag[..10], buffer[len..len + 10], "the tag holds");
    evp.start(session.opens, iv);
    evp.cipher(session.opens, &mut buffer[12..len]);
}

fn gcm(evp: &Evp, session: &Session, iv: &[u8], buffer: &mut [u8], len: usize) {
    let (header, rest) = buffer.split_at_mut(12);
    let (body, tag) = rest.split_at_mut(len - 12);
    evp.start(session.seals, iv);
    evp.aad(session.seals, header);
    evp.cipher(session.seals, body);
    assert!(evp.finish(session.seals), "sealed");
    let place = tag.as_mut_ptr().cast();
    // SAFETY: there is room for 16 bytes.
    unsafe { (evp.control)(session.seals, GET_TAG, 16, place) };
    evp.start(session.opens, iv);
    evp.aad(session.opens, header);
    evp.cipher(session.opens, body);
    // SAFETY: there are 16 bytes.
    unsafe { (evp.control)(session.opens, SET_TAG, 16, place) };
    assert!(evp.finish(session.opens), "the tag holds");
}
