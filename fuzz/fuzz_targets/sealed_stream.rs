//! Fuzzes [`bittrickle_fuzz::sealed_stream`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| bittrickle_fuzz::sealed_stream(data));
