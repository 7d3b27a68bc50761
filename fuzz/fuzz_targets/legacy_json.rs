//! Fuzzes [`bittrickle_fuzz::legacy_json`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| bittrickle_fuzz::legacy_json(data));
