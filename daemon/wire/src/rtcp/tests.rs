//! Compounds by hand, and agreement with another implementation.
