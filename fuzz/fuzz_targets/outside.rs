//! Fuzzes [`bittrickle_fuzz::outside`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| bittrickle_fuzz::outside(data));
