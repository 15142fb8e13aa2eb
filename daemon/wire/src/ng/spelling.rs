//! One spelling for every accepted spelling of a key, flag or value, and tables looked up by it.
//!
//! Case does not matter; space, underscore and hyphen are the same; a single dot (as in `T.38`) is
//! nothing; `..`, NG's stand-in for a space inside flags, is a hyphen.

/// Longest name that is looked up; longer ones are unknown without looking.
pub(crate) const MAX_NAME: usize = 48;

/// A name in its one spelling, on the stack.
#[derive(Clone, Copy)]
pub(crate) struct Name {
    bytes: [u8; MAX_NAME],
    len: u8,
}

impl Name {
    /// Normalises `text`; `None` if the result is longer than any known name.
    pub(crate) fn new(text: &[u8]) -> Option<Self> {
        let mut name = Self {
            bytes: [0; MAX_NAME],
            len: 0,
        };
        for byte in normal(text) {
            *name.bytes.get_mut(usize::from(name.len))? = byte;
            name.len += 1;
        }
        Some(name)
    }

    /// The normalised bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// Whether two names are spellings of the same one.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    a == b || normal(a).eq(normal(b))
}

/// What is left of `text` after `prefix`, which must be normalised and is matched in any spelling.
pub(crate) fn strip_prefix<'t>(text: &'t [u8], prefix: &str) -> Option<&'t [u8]> {
    let mut rest = Normal { rest: text };
    prefix
        .bytes()
        .all(|wanted| rest.next() == Some(wanted))
        .then_some(rest.rest)
}

/// The bytes of `text` in the one spelling.
fn normal(text: &[u8]) -> Normal<'_> {
    Normal { rest: text }
}

struct Normal<'t> {
    rest: &'t [u8],
}

impl Iterator for Normal<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        loop {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            match byte {
                b' ' | b'_' => return Some(b'-'),
                b'.' => {
                    if let [b'.', rest @ ..] = self.rest {
                        self.rest = rest;
                        return Some(b'-');
                    }
                }
                _ => return Some(byte.to_ascii_lowercase()),
            }
        }
    }
}

/// A fixed table from normalised names to values: open addressing, filled at compile time.
///
/// `SLOTS` is a power of two, at least twice the number of names.
pub(crate) struct Table<T: 'static, const SLOTS: usize> {
    names: &'static [(&'static str, T)],
    /// Index into `names` plus one; 0 is free.
    slots: [u16; SLOTS],
}

impl<T: Copy, const SLOTS: usize> Table<T, SLOTS> {
    /// Fills the table. Stops the build if a name is given twice, is not normalised or is too long.
    pub(crate) const fn new(names: &'static [(&'static str, T)]) -> Self {
        assert!(
            SLOTS.is_power_of_two() && SLOTS >= 2 * names.len(),
            "table is too full"
        );
        let mut slots = [0; SLOTS];
        let mut index = 0;
        while index < names.len() {
            let name = names[index].0.as_bytes();
            assert!(
                name.len() <= MAX_NAME && is_normal(name),
                "name is not in the one spelling"
            );
            let mut slot = hash(name) & (SLOTS - 1);
            while slots[slot] != 0 {
                let taken = names[slots[slot] as usize - 1].0.as_bytes();
                assert!(!equal(taken, name), "name is in the table twice");
                slot = (slot + 1) & (SLOTS - 1);
            }
            slots[slot] = index as u16 + 1;
            index += 1;
        }
        Self { names, slots }
    }

    /// The value under a name in any spelling.
    pub(crate) fn get(&self, text: &[u8]) -> Option<T> {
        // Most names come in the one spelling already.
        let as_is = if text.len() <= MAX_NAME {
            self.find(text)
        } else {
            None
        };
        as_is.or_else(|| self.find(Name::new(text)?.as_bytes()))
    }

    /// The value under a normalised name.
    pub(crate) fn find(&self, name: &[u8]) -> Option<T> {
        let mut slot = hash(name) & (SLOTS - 1);
        loop {
            let (known, value) = &self.names[usize::from(self.slots[slot].checked_sub(1)?)];
            if known.as_bytes() == name {
                return Some(*value);
            }
            slot = (slot + 1) & (SLOTS - 1);
        }
    }

    /// Every name with its value.
    pub(crate) const fn names(&self) -> &'static [(&'static str, T)] {
        self.names
    }
}

/// FNV-1a, folded: short names, no attacker (the table is fixed).
const fn hash(name: &[u8]) -> usize {
    let mut hash: u32 = 0x811c_9dc5;
    let mut index = 0;
    while index < name.len() {
        hash = (hash ^ name[index] as u32).wrapping_mul(0x0100_0193);
        index += 1;
    }
    (hash ^ hash >> 15) as usize
}

const fn is_normal(name: &[u8]) -> bool {
    let mut index = 0;
    while index < name.len() {
        if matches!(name[index], b'A'..=b'Z' | b' ' | b'_' | b'.') {
            return false;
        }
        index += 1;
    }
    true
}

const fn equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut index = 0;
    while index < a.len() {
        if a[index] != b[index] {
            return false;
        }
        index += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    static TABLE: Table<u8, 8> = Table::new(&[("call-id", 1), ("t38", 2), ("rtcp-mux", 3)]);

    #[test]
    fn every_spelling_finds_the_same_entry() {
        for text in ["call-id", "call-ID", "call id", "Call_Id", "CALL..ID"] {
            assert_eq!(TABLE.get(text.as_bytes()), Some(1), "{text}");
        }
        for text in ["T.38", "T38", "t.38"] {
            assert_eq!(TABLE.get(text.as_bytes()), Some(2), "{text}");
        }
        for text in ["callid", "call-i", "call-id-", "", "-"] {
            assert_eq!(TABLE.get(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_name_longer_than_any_known_one_is_unknown() {
        assert_eq!(TABLE.get(&[b'a'; MAX_NAME]), None);
        assert_eq!(TABLE.get(&[b'a'; MAX_NAME + 1]), None);
        assert_eq!(TABLE.get(&vec![b'a'; 65_507]), None);
    }

    #[test]
    fn a_prefix_is_matched_in_any_spelling_and_the_rest_is_untouched() {
        assert_eq!(
            strip_prefix(b"RTCP mux-Demux", "rtcp-mux-"),
            Some(&b"Demux"[..])
        );
        assert_eq!(strip_prefix(b"T.38-Decode", "t38-"), Some(&b"Decode"[..]));
        assert_eq!(strip_prefix(b"t38", "t38-"), None);
        assert_eq!(strip_prefix(b"replace", "replace-"), None);
    }
}
