//! The Internet checksum, whole (RFC 1071) and incremental (RFC 1624).
