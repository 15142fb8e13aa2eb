//! Asking for memory before it is needed.

/// Asks the CPU to bring `value` into its cache, without waiting for it. Where there is no way to ask,
/// nothing happens.
#[inline]
pub fn prefetch<T: ?Sized>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

        let first = std::ptr::from_ref(value).cast::<i8>();
        for offset in (0..size_of_val(value)).step_by(64) {
            // SAFETY: prefetching is part of SSE, which every x86-64 has; whatever the address, it
            // changes nothing that the program could see.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(first.wrapping_add(offset)) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}
