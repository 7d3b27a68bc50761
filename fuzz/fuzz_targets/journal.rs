//! Fuzzes [`bittrickle_fuzz::journal`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| bittrickle_fuzz::journal(data));
