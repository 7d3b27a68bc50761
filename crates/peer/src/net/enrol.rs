//! Joining: learns a server's key, and has this device enrolled (BT-2.11, BT-6.2).

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bittrickle_wire::limits::DATAGRAM_BYTES_MAX;
use bittrickle_wire::messages::{Enrol, Refused, Reply, Request};
use bittrickle_wire::seal::{Datagram, Entropy, Fingerprint, Hello, PublicKey, SecretKey};
use bittrickle_wire::{Encoding, Frame, MemberName, Message, Password, Received};
use bytes::BytesMut;
use tokio::net::UdpSocket;
use tokio::time::timeout_at;

use super::framed::connect;
use crate::channel::{Channel, ChannelError, Output};
use crate::resend::{Jitter, Resend};

/// Why a server's key can't be learnt.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nothing that is a server's answer has come back.
    #[error("the server does not answer")]
    NoAnswer,
    /// The network fails.
    #[error("the server can't be reached: {0}")]
    Io(#[from] io::Error),
}

/// Why this device isn't enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// Whoever answers there has another key.
    #[error("the server's key is not {pinned}, it is {presented}")]
    KeyChanged {
        /// Whom we expect.
        pinned: Fingerprint,
        /// Who answers.
        presented: Fingerprint,
    },
    /// The server says no.
    #[error("{}", .0.sentence.as_str())]
    Refused(Refused),
    /// It doesn't answer, or with what is no answer.
    #[error("the server does not answer")]
    NoAnswer,
    /// It answers with what is no answer.
    #[error("the server answers with what is no answer: {0}")]
    BadAnswer(String),
    /// It speaks other versions.
    #[error(transparent)]
    Version(ChannelError),
    /// The network fails.
    #[error("the server can't be reached: {0}")]
    Io(#[from] io::Error),
}

/// The only request of an enrolment.
const REQUEST_ID: u32 = 1;

/// Asks a server for its key. Nothing proves it yet: whoever is at that address answers.
///
/// # Errors
/// There is no answer, or no way there.
pub async fn server_key(server: SocketAddr) -> Result<PublicKey, ConnectError> {
    let (socket, _) = connect(server).await?;
    let mut entropy = Entropy::new(seed()?);
    let mut jitter = Jitter::new(u64::from_be_bytes(entropy.draw()));
    let hello = Hello { device_index: u32::from_be_bytes(entropy.draw()), nonce: entropy.draw() };
    let mut datagram = BytesMut::new();
    hello.write(&mut datagram);
    let mut resend = Resend::new(Instant::now(), &mut jitter);
    loop {
        send(&socket, &datagram).await?;
        while let Some(answer) = receive_until(&socket, resend.due).await? {
            if let Ok(Datagram::Retry(retry)) = Datagram::parse(&answer)
                && (retry.device_index, retry.nonce) == (hello.device_index, hello.nonce)
            {
                return Ok(retry.server_key);
            }
        }
        if !resend.again(Instant::now(), &mut jitter) {
            return Err(ConnectError::NoAnswer);
        }
    }
}

/// Makes this device a device of a member. The password goes to the owner of `server_key` and to nobody else.
///
/// # Errors
/// The server is another one, refuses, or doesn't answer.
pub async fn enrol(
    server: SocketAddr,
    server_key: PublicKey,
    device: &SecretKey,
    member: MemberName,
    password: Password,
    encoding: Encoding,
) -> Result<(), EnrolError> {
    let (socket, _) = connect(server).await?;
    let mut enrolment = Enrolment {
        channel: Channel::new(Instant::now(), server_key, device.clone(), seed()?),
        socket,
        request: Frame {
            request_id: REQUEST_ID,
            encoding,
            message: Message::Request(Request::Enrol(Enrol { member, password })),
        },
        answer: None,
    };
    enrolment.run().await
}

/// An enrolment that is under way: one request over one channel.
struct Enrolment {
    channel: Channel,
    socket: UdpSocket,
    request: Frame,
    answer: Option<Result<(), EnrolError>>,
}

/// How long the password may take to be checked, from the first asking on.
const ANSWER_WAIT: Duration = Duration::from_secs(30);

impl Enrolment {
    async fn run(&mut self) -> Result<(), EnrolError> {
        let mut jitter = Jitter::new(0);
        let give_up = Instant::now() + ANSWER_WAIT;
        let mut resend: Option<Resend> = None;
        loop {
            self.take_outputs(&mut resend, &mut jitter).await?;
            if let Some(answer) = self.answer.take() {
                return answer;
            }
            let now = Instant::now();
            if now >= give_up {
                return Err(EnrolError::NoAnswer);
            }
            if let Some(resend) = resend.as_mut().filter(|resend| resend.due <= now) {
                // The check takes its time; a server that is busy is asked until we give up.
                if resend.again(now, &mut jitter) {
                    self.channel.send(self.request.clone());
                } else {
                    *resend = Resend::new(now, &mut jitter);
                }
                continue;
            }
            let dues = resend.as_ref().map(|resend| resend.due).into_iter().chain(self.channel.next_wake());
            match receive_until(&self.socket, dues.chain([give_up]).min().unwrap_or(give_up)).await? {
                Some(mut datagram) => self.channel.receive(Instant::now(), &mut datagram),
                None => self.channel.tick(Instant::now()),
            }
        }
    }

    async fn take_outputs(&mut self, resend: &mut Option<Resend>, jitter: &mut Jitter) -> io::Result<()> {
        while let Some(output) = self.channel.next_output() {
            match output {
                Output::Send(datagram) => send(&self.socket, &datagram).await?,
                Output::Established(_) => {
                    self.channel.send(self.request.clone());
                    *resend = Some(Resend::new(Instant::now(), jitter));
                }
                Output::Receive(received) => self.receive(received),
                Output::Failed(error) => self.answer = Some(Err(failed(error))),
            }
        }
        Ok(())
    }

    fn receive(&mut self, received: Received) {
        let (request_id, answer) = match received {
            Received::Frame(Frame { request_id, message: Message::Reply(reply), .. }) => {
                (request_id, answer(reply))
            }
            Received::Frame(frame) => {
                let why = format!("{:?} is no answer", frame.message.kind());
                (frame.request_id, Err(EnrolError::BadAnswer(why)))
            }
            Received::Bad(bad) => (bad.request_id, Err(EnrolError::BadAnswer(bad.fault.to_string()))),
        };
        if request_id == REQUEST_ID {
            self.answer = Some(answer);
        }
    }
}

fn answer(reply: Reply) -> Result<(), EnrolError> {
    match reply {
        Reply::Enrolled(_) => Ok(()),
        Reply::Refused(refused) => Err(EnrolError::Refused(refused)),
        other => Err(EnrolError::BadAnswer(format!("{:?} answers Enrol", other.kind()))),
    }
}

fn failed(error: ChannelError) -> EnrolError {
    match error {
        ChannelError::NoAnswer => EnrolError::NoAnswer,
        ChannelError::KeyChanged { pinned, presented } => {
            EnrolError::KeyChanged { pinned: pinned.fingerprint(), presented: presented.fingerprint() }
        }
        ChannelError::OtherVersion(_) => EnrolError::Version(error),
    }
}

fn seed() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(io::Error::other)?;
    Ok(seed)
}

async fn send(socket: &UdpSocket, datagram: &[u8]) -> io::Result<()> {
    socket.send(datagram).await.map(drop)
}

/// The next datagram, unless none comes in time.
async fn receive_until(socket: &UdpSocket, due: Instant) -> io::Result<Option<BytesMut>> {
    let mut datagram = BytesMut::with_capacity(DATAGRAM_BYTES_MAX + 1);
    match timeout_at(due.into(), socket.recv_buf(&mut datagram)).await {
        Ok(received) => received.map(|_| Some(datagram)),
        Err(_) => Ok(None),
    }
}
