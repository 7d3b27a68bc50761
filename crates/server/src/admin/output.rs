//! What administrators see: lists in columns, or as JSON.

use std::io::{self, Write};

use bittrickle_wire::escaped;
use bittrickle_wire::seal::PublicKey;
use serde::Serialize;
use unicode_width::UnicodeWidthStr as _;

use crate::store::{DeviceRow, MemberRow};

/// A device as JSON shows it, with what people compare.
#[derive(Debug, Serialize)]
struct DeviceJson<'a> {
    fingerprint: String,
    #[serde(flatten)]
    row: &'a DeviceRow,
}

const SECONDS_PER_DAY: u64 = 86_400;

/// Writes the members, in the order in which they are given.
pub(super) fn write_members(output: &mut impl Write, rows: &[MemberRow], json: bool) -> io::Result<()> {
    if json {
        return write_json(output, rows);
    }
    let cells = rows.iter().map(|row| {
        let state = if row.disabled { "disabled" } else { "enabled" };
        let member = escaped(row.member.as_str()).to_string();
        [member, state.to_owned(), row.devices.to_string(), utc(row.created_unix_s)]
    });
    write_columns(output, ["NAME", "STATE", "DEVICES", "ADDED (UTC)"], cells.collect())
}

/// Writes the devices, in the order in which they are given.
pub(super) fn write_devices(output: &mut impl Write, rows: &[DeviceRow], json: bool) -> io::Result<()> {
    if json {
        let rows: Vec<_> =
            rows.iter().map(|row| DeviceJson { fingerprint: fingerprint(&row.device), row }).collect();
        return write_json(output, &rows);
    }
    let cells = rows.iter().map(|row| {
        let member = escaped(row.member.as_str()).to_string();
        [fingerprint(&row.device), member, utc(row.enrolled_unix_s)]
    });
    write_columns(output, ["FINGERPRINT", "MEMBER", "ENROLLED (UTC)"], cells.collect())
}

fn fingerprint(device: &PublicKey) -> String {
    device.fingerprint().to_string()
}

fn write_json<T: Serialize>(output: &mut impl Write, rows: &[T]) -> io::Result<()> {
    serde_json::to_writer(&mut *output, rows)?;
    writeln!(output)
}

fn write_columns<const COLUMNS: usize>(
    output: &mut impl Write,
    heads: [&str; COLUMNS],
    rows: Vec<[String; COLUMNS]>,
) -> io::Result<()> {
    let mut widths = heads.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.width().max(*width);
        }
    }
    for row in std::iter::once(heads.map(str::to_owned)).chain(rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            line += cell;
            line += &" ".repeat(width - cell.width() + 2);
        }
        writeln!(output, "{}", line.trim_end())?;
    }
    Ok(())
}

/// `2026-01-31 12:34`, as the calendar of Gregory has it.
fn utc(unix_s: u64) -> String {
    let (days, minutes) = (unix_s / SECONDS_PER_DAY, unix_s % SECONDS_PER_DAY / 60);
    // Years that begin in March have their leap day at the end; 719,468 days are from 0000-03-01 to 1970-01-01.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use bittrickle_wire::MemberName;

    use super::*;

    fn members() -> Vec<MemberRow> {
        let row = |name: &str, disabled, devices| MemberRow {
            member: MemberName::new(name).unwrap(),
            disabled,
            devices,
            created_unix_s: 0,
        };
        vec![row("al", false, 0), row("日本", true, 12)]
    }

    #[test]
    fn columns_are_aligned_by_what_a_terminal_shows() {
        let mut output = Vec::new();
        write_members(&mut output, &members(), false).unwrap();
        let expected = "NAME  STATE     DEVICES  ADDED (UTC)\n\
                        al    enabled   0        1970-01-01 00:00\n\
                        日本  disabled  12       1970-01-01 00:00\n";
        assert_eq!(String::from_utf8(output).unwrap(), expected);
    }

    #[test]
    fn json_is_one_array() {
        let mut output = Vec::new();
        write_members(&mut output, &members()[..1], true).unwrap();
        let row = DeviceRow {
            device: PublicKey::from_bytes([7; 32]),
            member: MemberName::new("al").unwrap(),
            enrolled_unix_s: 9,
        };
        write_devices(&mut output, &[row], true).unwrap();
        let text = String::from_utf8(output).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], r#"[{"member":"al","disabled":false,"devices":0,"created_unix_s":0}]"#);
        assert!(lines[1].starts_with(r#"[{"fingerprint":""#), "{}", lines[1]);
        assert!(lines[1].ends_with(r#"","member":"al","enrolled_unix_s":9}]"#), "{}", lines[1]);
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        let cases = [
            (951_782_400, "2000-02-29 00:00"),
            (1_709_251_199, "2024-02-29 23:59"),
            (1_735_689_600, "2025-01-01 00:00"),
            (4_107_542_400, "2100-03-01 00:00"),
            (u64::MAX / 2, "292277026596-12-04 15:30"),
        ];
        for (unix_s, text) in cases {
            assert_eq!(utc(unix_s), text);
        }
        utc(u64::MAX);
    }
}
