//! What only whole bodies can show.
