//! The real daemon in network namespaces, driven over NG by phones made of sockets.
//!
//! What concerns packets is tried on each backend and, where plain RTP is carried, on each hook of the kernel; what
//! concerns control on the default one.
#![forbid(unsafe_code)]

/// Makes a test on each backend of functions that take one.
macro_rules! on_each_backend {
    ($($name:ident,)*) => {
        mod uring {
            $(#[test] fn $name() { super::$name(patchcord_tests::Backend::Uring); })*
        }
        mod mmsg {
            $(#[test] fn $name() { super::$name(patchcord_tests::Backend::Mmsg); })*
        }
        mod steer {
            $(#[test] fn $name() {
                if !patchcord_tests::Backend::Steer.is_refused() {
                    super::$name(patchcord_tests::Backend::Steer);
                }
            })*
        }
        mod xsk {
            $(#[test] fn $name() {
                if !patchcord_tests::Backend::Xsk.is_refused() {
                    super::$name(patchcord_tests::Backend::Xsk);
                }
            })*
        }
    };
}

/// The same, and on each hook of the kernel.
macro_rules! on_each_path {
    ($($name:ident,)*) => {
        on_each_backend! { $($name,)* }
        on_each_hook! { $($name,)* }
    };
}

/// On each hook of the kernel alone.
macro_rules! on_each_hook {
    ($($name:ident,)*) => {
        mod native {
            $(#[test] fn $name() { super::$name(patchcord_tests::Backend::Native); })*
        }
        mod generic {
            $(#[test] fn $name() { super::$name(patchcord_tests::Backend::Generic); })*
        }
        mod tc {
            $(#[test] fn $name() { super::$name(patchcord_tests::Backend::Tc); })*
        }
    };
}

mod field;

mod accounts;
mod apart;
mod browsers;
mod bundle;
mod burden;
mod control;
mod dialogue;
mod dtls;
mod endings;
mod flood;
mod hostile;
mod ice;
mod limits;
mod matrix;
mod offload;
mod openssl;
mod reporting;
mod sections;
mod secure;
mod sources;
mod steering;
mod ways;
mod xsk;
