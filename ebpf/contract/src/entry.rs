//! What the kernel program knows of a flow.
