//! The pages of the app origin.
