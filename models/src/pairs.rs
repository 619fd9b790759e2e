//! Geometry of pixel pairs.
