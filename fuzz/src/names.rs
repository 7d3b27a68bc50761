//! What names may look like, written out from BT-2.1 and not taken from the crate: its own tables are what is tested.

/// What no name has anywhere (BT-2.1-3).
pub(super) const FORBIDDEN: [char; 9] = ['/', '\\', ':', '<', '>', '"', '|', '?', '*'];

const NAME_BYTES_MAX: usize = 255;
const DEVICES: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];

/// Whether it may be called so in a folder, but for the normalization form: that takes tables (BT-3.6-2).
pub(super) fn is_entry_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && !name.contains(FORBIDDEN)
        && !name.chars().any(is_invisible)
        && !name.ends_with('.')
        && name.trim() == name
        && !is_device(name)
}

/// Whether Windows takes it for a device.
pub(super) fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    let numbered = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    let mut digits = numbered.unwrap_or_default().chars();
    let digit = digits.next().is_some_and(|first| "0123456789¹²³".contains(first));
    DEVICES.contains(&stem.as_str()) || (digit && digits.next().is_none())
}

/// BT-2.1-2
pub(super) fn is_invisible(character: char) -> bool {
    let ranges = [
        0x00..=0x1f,
        0x7f..=0x9f,
        0xad..=0xad,
        0x34f..=0x34f,
        0x61c..=0x61c,
        0x180e..=0x180e,
        0x200b..=0x200f,
        0x2028..=0x202e,
        0x2060..=0x206f,
        0xfeff..=0xfeff,
        0xfff9..=0xfffb,
        0xe0000..=0xe007f,
    ];
    ranges.iter().any(|range| range.contains(&u32::from(character)))
}
