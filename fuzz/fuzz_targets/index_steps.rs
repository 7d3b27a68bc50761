//! Fuzzes [`bittrickle_fuzz::index_steps`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| bittrickle_fuzz::index_steps(data));
