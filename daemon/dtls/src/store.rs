//! The certificate of the process, replaced at half its life; who has one keeps it.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::certificate::{Certificate, CertificateError, KeyKind, VALIDITY};

/// Hands out the current certificate without a lock. Whoever renews it does so where a pause hurts
/// nobody: making an RSA key takes a while.
#[derive(Debug)]
pub struct Store {
    kind: KeyKind,
    current: ArcSwap<Certificate>,
}

impl Store {
    /// A store with a first certificate; `now` in seconds since 1970.
    pub fn new(kind: KeyKind, now: u64) -> Result<Self, CertificateError> {
        let first = Certificate::generate(kind, now)?;
        Ok(Self {
            kind,
            current: ArcSwap::from_pointee(first),
        })
    }

    /// The certificate for a new association.
    pub fn current(&self) -> Arc<Certificate> {
        self.current.load_full()
    }

    /// Whether half of its life is over, or the clock went back to before it was made.
    pub fn is_due(&self, now: u64) -> bool {
        let made = self.current.load().made();
        now.checked_sub(made)
            .is_none_or(|age| age >= VALIDITY.as_secs() / 2)
    }

    /// Makes the next certificate if it is due; says whether it did. At an error the old one stays.
    pub fn renew(&self, now: u64) -> Result<bool, CertificateError> {
        let due = self.is_due(now);
        if due {
            let next = Certificate::generate(self.kind, now)?;
            self.current.store(Arc::new(next));
        }
        Ok(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_790_000_000;
    const DAY: u64 = 86_400;

    #[test]
    fn half_way_through_its_life_a_certificate_is_replaced() {
        let store = Store::new(KeyKind::P256, NOW).expect("a certificate");
        let first = store.current();
        assert_eq!(store.renew(NOW + 15 * DAY - 1), Ok(false));
        assert!(Arc::ptr_eq(&first, &store.current()));
        assert_eq!(store.renew(NOW + 15 * DAY), Ok(true));
        let second = store.current();
        assert_ne!(first.der(), second.der());
        assert_eq!(second.ends(), NOW + 45 * DAY);
        assert_eq!(first.ends(), NOW + 30 * DAY, "who has the first keeps it");
    }

    #[test]
    fn a_clock_set_back_leaves_no_certificate_from_the_future() {
        let store = Store::new(KeyKind::P256, NOW).expect("a certificate");
        assert!(store.is_due(NOW - 2 * DAY));
        assert_eq!(store.renew(NOW - 2 * DAY), Ok(true));
        assert!(!store.is_due(NOW - 2 * DAY));
    }

    #[test]
    fn a_failed_renewal_keeps_the_old_one() {
        let store = Store::new(KeyKind::P256, NOW).expect("a certificate");
        let first = store.current();
        assert!(store.renew(u64::MAX).is_err());
        assert!(Arc::ptr_eq(&first, &store.current()));
    }
}
