//! Fuzzes [`bittrickle_fuzz::manifest`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| bittrickle_fuzz::manifest(data));
