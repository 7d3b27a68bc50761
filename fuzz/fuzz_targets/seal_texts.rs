//! Fuzzes [`bittrickle_fuzz::seal_texts`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| bittrickle_fuzz::seal_texts(data));
