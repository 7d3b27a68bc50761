//! Fuzzes [`bittrickle_fuzz::datagram`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| bittrickle_fuzz::datagram(data));
