//! Numbers and addresses that cross the wire, each checked when it is built (BT-2.1-6 and following).

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::ParseIntError;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::encoding::binary::{
    self, BinaryError, BorrowDecode, BorrowDecoder, Decode, Decoder, Encode, Encoder,
};
use crate::limits::{FILE_BYTES_MAX, TRANSFER_PORT_MIN};

/// A file's size: 0 to 2^53 - 1 bytes.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct FileBytes(u64);

/// The TCP port of a peer's file server: 1,024 to 65,535.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct TransferPort(u16);

/// Where a source's file server answers: a unicast address and a [`TransferPort`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SourceAddress(SocketAddr);

/// 64 bits that are compared, never counted with: 16 hexadecimal digits in JSON, 8 bytes in bincode.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Hex64(pub u64);

/// Bytes that are compared, never counted with: two lower-case hexadecimal digits each in JSON, themselves in bincode.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct HexBytes<const BYTES: usize>(pub [u8; BYTES]);

/// Not so many lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0} lower-case hexadecimal digits are needed")]
pub struct HexError(usize);

/// Why a number or an address is not acceptable.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NumberError {
    /// A file of this many bytes can't be described.
    #[error("a file of {0} bytes is too large, {FILE_BYTES_MAX} are allowed")]
    FileBytes(u64),
    /// A port below the lowest allowed one.
    #[error("port {0} is below {TRANSFER_PORT_MIN}")]
    Port(u16),
    /// An address that doesn't name one machine.
    #[error("{0} is not the address of one machine")]
    NotUnicast(IpAddr),
}

impl FileBytes {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// A size, checked.
    ///
    /// # Errors
    /// It is larger than [`FILE_BYTES_MAX`].
    pub fn new(bytes: u64) -> Result<Self, NumberError> {
        if bytes <= FILE_BYTES_MAX { Ok(Self(bytes)) } else { Err(NumberError::FileBytes(bytes)) }
    }

    /// The size in bytes.
    #[must_use]
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl TransferPort {
    /// A port, checked.
    ///
    /// # Errors
    /// It is below [`TRANSFER_PORT_MIN`].
    pub fn new(port: u16) -> Result<Self, NumberError> {
        if port >= TRANSFER_PORT_MIN { Ok(Self(port)) } else { Err(NumberError::Port(port)) }
    }

    /// The port's number.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }
}

impl SourceAddress {
    /// An address, checked. An IPv4 address in IPv6 clothes becomes the IPv4 address it is.
    ///
    /// # Errors
    /// It is a multicast, broadcast or unspecified address, or its port is too low.
    pub fn new(address: SocketAddr) -> Result<Self, NumberError> {
        let ip = address.ip().to_canonical();
        let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
        if ip.is_multicast() || ip.is_unspecified() || broadcast {
            return Err(NumberError::NotUnicast(ip));
        }
        let port = TransferPort::new(address.port())?;
        Ok(Self(SocketAddr::new(ip, port.number())))
    }

    /// The address to connect to.
    #[must_use]
    pub fn socket_address(self) -> SocketAddr {
        self.0
    }
}

impl fmt::Display for Hex64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Hex64 {
    type Err = ParseIntError;

    /// Reads what `Display` writes, and nothing else.
    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        let canonical = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        u64::from_str_radix(if canonical { text } else { "" }, 16).map(Self)
    }
}

impl<const BYTES: usize> fmt::Display for HexBytes<BYTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digit = |value: u8| b"0123456789abcdef"[usize::from(value)];
        let pairs = self.0.map(|byte| [digit(byte >> 4), digit(byte & 0xf)]);
        f.write_str(std::str::from_utf8(pairs.as_flattened()).expect("digits are ASCII"))
    }
}

impl<const BYTES: usize> fmt::Debug for HexBytes<BYTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<const BYTES: usize> FromStr for HexBytes<BYTES> {
    type Err = HexError;

    /// Reads what `Display` writes, and nothing else.
    fn from_str(text: &str) -> Result<Self, HexError> {
        let digit = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        let mut bytes = [0; BYTES];
        let (pairs, rest) = text.as_bytes().as_chunks();
        if pairs.len() != BYTES || !rest.is_empty() {
            return Err(HexError(2 * BYTES));
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            let (high, low) = digit(*high).zip(digit(*low)).ok_or(HexError(2 * BYTES))?;
            *byte = high << 4 | low;
        }
        Ok(Self(bytes))
    }
}

impl<'de> Deserialize<'de> for FileBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(u64::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for TransferPort {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(u16::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl Serialize for SourceAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SourceAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // A zone names an interface of one machine, so it means nothing on another.
        let address = text.parse().ok().filter(|_| !text.contains('%'));
        let address = address.ok_or_else(|| de::Error::custom("not an address and a port"))?;
        Self::new(address).map_err(de::Error::custom)
    }
}

impl Serialize for Hex64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hex64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Hex64;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("16 lower-case hexadecimal digits")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Hex64, E> {
                text.parse().map_err(|_| E::invalid_value(de::Unexpected::Str("another text"), &self))
            }
        }

        deserializer.deserialize_str(Visitor)
    }
}

impl<const BYTES: usize> Serialize for HexBytes<BYTES> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, const BYTES: usize> Deserialize<'de> for HexBytes<BYTES> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl Encode for FileBytes {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), binary::WriteError> {
        self.0.encode(encoder)
    }
}

impl<C> Decode<C> for FileBytes {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, BinaryError> {
        checked(Self::new(u64::decode(decoder)?))
    }
}

impl Encode for TransferPort {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), binary::WriteError> {
        self.0.encode(encoder)
    }
}

impl<C> Decode<C> for TransferPort {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, BinaryError> {
        checked(Self::new(u16::decode(decoder)?))
    }
}

impl Encode for SourceAddress {
    /// 16 bytes of IPv6 address, IPv4 mapped into it, and the port as a number (BT-2.1-8).
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), binary::WriteError> {
        let ip = match self.0.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        ip.octets().encode(encoder)?;
        self.0.port().encode(encoder)
    }
}

impl<C> Decode<C> for SourceAddress {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, BinaryError> {
        let ip = Ipv6Addr::from(<[u8; 16]>::decode(decoder)?);
        checked(Self::new(SocketAddr::new(ip.into(), u16::decode(decoder)?)))
    }
}

impl Encode for Hex64 {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), binary::WriteError> {
        self.0.to_be_bytes().encode(encoder)
    }
}

impl<C> Decode<C> for Hex64 {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, BinaryError> {
        Ok(Self(u64::from_be_bytes(<[u8; 8]>::decode(decoder)?)))
    }
}

impl<const BYTES: usize> Encode for HexBytes<BYTES> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), binary::WriteError> {
        self.0.encode(encoder)
    }
}

impl<C, const BYTES: usize> Decode<C> for HexBytes<BYTES> {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, BinaryError> {
        <[u8; BYTES]>::decode(decoder).map(Self)
    }
}

impl<'de, C, const BYTES: usize> BorrowDecode<'de, C> for HexBytes<BYTES> {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(decoder: &mut D) -> Result<Self, BinaryError> {
        Self::decode(decoder)
    }
}

// The derives of the messages ask for this one as well.
binary::impl_borrow_decode!(FileBytes);
binary::impl_borrow_decode!(TransferPort);
binary::impl_borrow_decode!(SourceAddress);
binary::impl_borrow_decode!(Hex64);

fn checked<T>(result: Result<T, NumberError>) -> Result<T, BinaryError> {
    result.map_err(|error| BinaryError::OtherString(error.to_string()))
}
