//! Whether io_uring may run here, asked of the kernel by building a small ring with what `uring` needs.

use std::fmt;
use std::io;
use std::panic::resume_unwind;
use std::thread::Builder;

use io_uring::IoUring;

/// Why io_uring cannot run here.
#[derive(Debug)]
pub struct Refused {
    what: &'static str,
    error: io::Error,
}

/// Builds the smallest ring with everything the `uring` backend relies on, and drops it.
///
/// On a thread of its own: the kernel takes a ring down later, and for that interrupts whoever built it as a
/// signal would. What this process does next, loading BPF programs, the kernel gives up with `EAGAIN` then.
pub fn io_uring() -> Result<(), Refused> {
    let built = Builder::new().name("probe".to_owned()).spawn(build);
    let built = built.map_err(|error| Refused {
        what: "a thread",
        error,
    })?;
    built.join().unwrap_or_else(|panic| resume_unwind(panic))
}

fn build() -> Result<(), Refused> {
    let refused = |what| move |error| Refused { what, error };
    let ring: IoUring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_coop_taskrun()
        .setup_submit_all()
        .setup_cqsize(16)
        .build(8)
        .map_err(refused("a ring with deferred task work"))?;
    ring.submitter()
        .register_files_sparse(8)
        .map_err(refused("a sparse file table"))
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => {
                "forbidden here by kernel.io_uring_disabled or a seccomp profile"
            }
            Some(libc::ENOSYS) => "the kernel has no io_uring, or a seccomp profile hides it",
            Some(libc::EINVAL) => "the kernel is older than 6.1",
            Some(libc::ENOMEM) => "the limit of locked memory is too low (LimitMEMLOCK)",
            Some(libc::EMFILE | libc::ENFILE) => "no descriptor is left",
            _ => "unexpected",
        };
        write!(
            f,
            "the kernel refused {}: {why} ({})",
            self.what, self.error
        )
    }
}

impl std::error::Error for Refused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_why() {
        let error = io::Error::from_raw_os_error(libc::EPERM);
        let text = Refused {
            what: "a ring",
            error,
        }
        .to_string();
        assert!(text.contains("seccomp"), "{text}");
    }
}
