//! What the server's socket had no room for: the system counts it.

use std::net::SocketAddr;

/// Datagrams that came for the socket at this IPv4 address and were dropped so far, if the system tells.
pub(super) fn dropped_at(address: SocketAddr) -> Option<u64> {
    dropped_in(&std::fs::read_to_string("/proc/net/udp").ok()?, address.port())
}

/// The last field of the line whose second one ends with this port.
fn dropped_in(table: &str, port: u16) -> Option<u64> {
    let ending = format!(":{port:04X}");
    let is_it = |line: &&str| line.split_whitespace().nth(1).is_some_and(|local| local.ends_with(&ending));
    table.lines().skip(1).find(is_it)?.split_whitespace().last()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  811: 0100007F:1F90 0100007F:0050 01 00000000:00000000 00:00000000 00000000     0        0 12 2 0000000000000000 5
  812: 0100007F:0050 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 13 2 0000000000000000 77";

    #[test]
    fn drops_are_those_of_the_socket_that_is_bound_to_the_port() {
        assert_eq!(dropped_in(TABLE, 80), Some(77));
        assert_eq!(dropped_in(TABLE, 8_080), Some(5));
        assert_eq!(dropped_in(TABLE, 8_081), None);
        assert_eq!(dropped_in("", 80), None);
    }
}
