//! Libraries of the system, opened at run time.

use std::ffi::{CStr, c_void};
use std::ptr::NonNull;

/// A library, open until the process ends.
#[derive(Clone, Copy, Debug)]
pub struct Library(NonNull<c_void>);

impl Library {
    /// Opens it, if it is installed.
    pub fn open(name: &CStr) -> Option<Self> {
        // SAFETY: the name ends with a zero, and what the libraries asked for here do when they are
        // loaded concerns nothing but themselves.
        let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        NonNull::new(handle).map(Self)
    }

    /// The function of that name as a value of `F`.
    ///
    /// # Safety
    /// `F` is the type of a function pointer and the true signature of that function.
    pub unsafe fn function<F: Copy>(self, name: &CStr) -> Option<F> {
        const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
        // SAFETY: the handle is open, and the name ends with a zero.
        let found = NonNull::new(unsafe { libc::dlsym(self.0.as_ptr(), name.as_ptr()) })?;
        // SAFETY: a function pointer has the size of a data pointer here, and the caller vouches for
        // its type.
        Some(unsafe { std::mem::transmute_copy(&found) })
    }
}
