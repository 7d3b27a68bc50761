//! Keys of 32 bytes, kept as text.

use std::path::Path;

use zeroize::Zeroizing;

use crate::{SecretError, create, read};

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;

/// Two digits a byte and a newline.
const FILE_BYTES: usize = 2 * KEY_BYTES + 1;

/// Reads the key that this file keeps as 64 lower-case hexadecimal digits and a newline. If there is no such file, it is
/// created from `random`, which must come from a source of good randomness. The folder must be there.
///
/// # Errors
/// The file can't be read or created, others may use it, or it doesn't hold a key: then it stays as it is.
pub fn read_or_create_key(
    path: &Path,
    random: [u8; KEY_BYTES],
) -> Result<Zeroizing<[u8; KEY_BYTES]>, SecretError> {
    let random = Zeroizing::new(random);
    match read_key(path) {
        Err(SecretError::Missing { .. }) => {}
        result => return result,
    }
    match create(path, to_text(&random).as_slice()) {
        Ok(()) => Ok(random),
        // Another process was quicker: its key counts.
        Err(SecretError::Exists { .. }) => read_key(path),
        Err(error) => Err(error),
    }
}

fn read_key(path: &Path) -> Result<Zeroizing<[u8; KEY_BYTES]>, SecretError> {
    from_text(&read(path, FILE_BYTES)?).ok_or_else(|| SecretError::DamagedKey { path: path.to_owned() })
}

fn to_text(key: &[u8; KEY_BYTES]) -> Zeroizing<[u8; FILE_BYTES]> {
    let mut text = Zeroizing::new([b'\n'; FILE_BYTES]);
    for (digits, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(key) {
        *digits =
            [byte >> 4, byte & 0xf].map(|digit| if digit < 10 { b'0' + digit } else { b'a' + digit - 10 });
    }
    text
}

fn from_text(text: &[u8]) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_chunks();
    if pairs.len() != KEY_BYTES || rest != b"\n" {
        return None;
    }
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    for (byte, [high, low]) in key.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_key_is_created_once_and_then_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device.key");
        let key: [u8; 32] = std::array::from_fn(|index| u8::try_from(index * 8 + 7).unwrap());
        assert_eq!(*read_or_create_key(&path, key).unwrap(), key);
        assert_eq!(*read_or_create_key(&path, [0; 32]).unwrap(), key);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("070f171f27") && text.ends_with("f7ff\n") && text.len() == 65, "{text}");
    }

    #[test]
    fn a_damaged_key_is_reported_and_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device.key");
        let good = "a5".repeat(32);
        let upper = good.to_uppercase() + "\n";
        let other = "g".repeat(64) + "\n";
        for damaged in ["", "\n", &good, &good[1..], &upper, &other, &format!("{good} ")] {
            crate::replace(&path, damaged.as_bytes()).unwrap();
            let error = read_or_create_key(&path, [7; 32]).unwrap_err();
            assert!(matches!(error, SecretError::DamagedKey { .. }), "{damaged:?}: {error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
        }
        crate::replace(&path, format!("{good}\n\n").as_bytes()).unwrap();
        assert!(matches!(read_or_create_key(&path, [7; 32]), Err(SecretError::TooLong { .. })));
    }
}
