//! What the system threw away because a receive buffer was full: nobody else could tell the operator of it.

use std::net::UdpSocket;

/// The sockets whose losses are looked at.
#[derive(Debug)]
pub(super) struct Losses {
    inodes: Vec<u64>,
}

impl Losses {
    /// Of these sockets.
    pub(super) fn of(sockets: &[UdpSocket]) -> Self {
        let inodes = sockets.iter().filter_map(|socket| rustix::fs::fstat(socket).ok());
        Self { inodes: inodes.map(|stat| stat.st_ino).collect() }
    }

    /// Datagrams that were lost so far. None where the system doesn't say.
    pub(super) fn count(&self) -> u64 {
        let tables = ["/proc/self/net/udp", "/proc/self/net/udp6"].map(std::fs::read_to_string);
        tables.iter().flatten().map(|table| count_in(table, &self.inodes)).sum()
    }
}

/// A line a socket, in columns: its inode is the tenth, and what was lost the last.
fn count_in(table: &str, inodes: &[u64]) -> u64 {
    let losses = table.lines().skip(1).filter_map(|line| {
        let inode = line.split_whitespace().nth(9)?.parse().ok()?;
        let lost: u64 = line.split_whitespace().last()?.parse().ok()?;
        inodes.contains(&inode).then_some(lost)
    });
    losses.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn what_a_full_buffer_could_not_take_is_counted() {
        let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        rustix::net::sockopt::set_socket_recv_buffer_size(&ours, 4_096).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..100 {
            client.send_to(&[0; 1_000], ours.local_addr().unwrap()).unwrap();
        }
        ours.set_nonblocking(true).unwrap();
        let received = std::iter::from_fn(|| ours.recv(&mut [0; 1_000]).ok()).count() as u64;
        assert!(received < 100);
        assert_eq!(Losses::of(&[ours]).count(), 100 - received);
        assert_eq!(Losses::of(&[other]).count(), 0);
    }
}
