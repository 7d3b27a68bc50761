//! Fuzzes [`bittrickle_fuzz::handshake`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| bittrickle_fuzz::handshake(data));
