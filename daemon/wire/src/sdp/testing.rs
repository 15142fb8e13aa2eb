//! What the tests of the typed lines share.

use super::Field;

/// Reads a well-formed value.
pub(super) fn value<'b, F: Field<'b>>(text: &'b [u8]) -> F {
    F::parse(text).unwrap_or_else(|e| panic!("{}: {e}", text.escape_ascii()))
}

/// Checks that a value comes back as it was written.
pub(super) fn same<'b, F: Field<'b>>(text: &'b [u8]) {
    printed::<F>(text, text);
}

/// Checks that a value comes back in another form.
pub(super) fn printed<'b, F: Field<'b>>(text: &'b [u8], expected: &[u8]) {
    let mut out = Vec::new();
    value::<F>(text).print(&mut out);
    assert_eq!(
        out.escape_ascii().to_string(),
        expected.escape_ascii().to_string()
    );
}

/// Checks that a value is refused, with a place within it.
pub(super) fn refused<'b, F: Field<'b>>(text: &'b [u8]) {
    match F::parse(text) {
        Ok(_) => panic!("{} was taken", text.escape_ascii()),
        Err(e) => assert!(e.at as usize <= text.len()),
    }
}
