//! Fuzzes [`bittrickle_fuzz::stream`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| bittrickle_fuzz::stream(data));
