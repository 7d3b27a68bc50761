//! Nanoseconds to write and to read one message of each kind, through the codecs that the programs use.
//!
//! Timed is what a program pays for a message: writing includes dropping the message, and reading includes dropping
//! what was read. Building the message, or filling the buffer, is done before the clock starts. The figures of one kind
//! are measured by turns, so that a machine that gets slower for a while makes all of them slower.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bittrickle_wire::limits::{DATA_BYTES_MAX, HEADER_BYTES};
use bittrickle_wire::{DatagramCodec, Encoding, Frame, FrameCodec, FramingError, Message, Received};
use bytes::BytesMut;
use clap::Args;
use tokio_util::codec::{Decoder, Encoder};

use crate::report::{Line, Report, ReportError};
use crate::samples::{self, Carrier, Sample};

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Print one JSON object a line instead of a table
    #[arg(long)]
    pub(crate) json: bool,

    /// Take about a second in all: enough to see that it runs, not enough to compare figures
    #[arg(long)]
    quick: bool,
}

/// Wall-clock time for each figure.
const BUDGET: Duration = Duration::from_millis(150);

/// The same with `--quick`.
const QUICK_BUDGET: Duration = Duration::from_millis(10);

/// One round is this part of a pass: long beside the clock's resolution, and short enough that some rounds
/// are left alone by the rest of the machine.
const ROUND_PART: u32 = 10;

/// Messages made ready at once. Few enough to stay in the cache, as a message that has just arrived is.
const BATCH_MESSAGES_MAX: usize = 64;

/// Bytes made ready at once: fewer messages where each is long.
const BATCH_BYTES: usize = 512 * 1024;

const UNIT: &str = "ns/message";

/// How often all kinds are gone through. What slows the machine for a second or two then slows no kind every time.
const PASSES: u32 = 5;

/// One figure while it is measured.
struct Figure {
    name: String,
    kind: &'static str,
    /// The figure that is its floor, by its place among all.
    floor: Option<usize>,
    meter: Meter,
    /// Batches that make a round; 0 while that isn't known.
    batches: u32,
    best_ns: f64,
}

/// Measures every kind in every encoding that carries it.
///
/// # Errors
/// Stdout takes no more.
pub(crate) fn run(options: &Options, report: &mut Report) -> Result<(), ReportError> {
    let budget = if options.quick { QUICK_BUDGET } else { BUDGET };
    let mut figures = figures();
    let seconds = (budget * u32::try_from(figures.len()).expect("a hundred figures")).as_secs_f64();
    eprintln!("codec: {} figures, about {:.0} s", figures.len(), seconds.ceil());
    for _ in 0..PASSES {
        for of_one_kind in figures.chunk_by_mut(|a, b| a.kind == b.kind) {
            measure(of_one_kind, budget / PASSES);
        }
    }
    for figure in &figures {
        let name = figure.name.clone();
        report.add(&match figure.floor {
            Some(floor) => Line::with_floor(name, figure.best_ns, UNIT, figures[floor].best_ns),
            None => Line::new(name, figure.best_ns, UNIT),
        })?;
    }
    Ok(())
}

/// All figures, those of one kind behind each other.
fn figures() -> Vec<Figure> {
    let mut figures = Vec::new();
    for sample in samples::every_kind() {
        let kind = sample.name;
        let figure = |encoding, what, floor, meter| {
            let name = format!("codec.{kind}.{encoding}.{what}");
            Figure { name, kind, floor, meter, batches: 0, best_ns: f64::INFINITY }
        };
        if matches!(sample.message, Message::Data(_) | Message::Versions(_)) {
            let [encode, decode] = meters(&sample, Encoding::Raw);
            figures.push(figure("raw", "encode", None, encode));
            figures.push(figure("raw", "decode", None, decode));
            continue;
        }
        let json = meters(&sample, Encoding::Json);
        let bincode = meters(&sample, Encoding::Bincode);
        for (what, (json, bincode)) in ["encode", "decode"].into_iter().zip(json.into_iter().zip(bincode)) {
            let floor = figures.len();
            figures.push(figure("json", what, None, json));
            figures.push(figure("bincode", what, Some(floor), bincode));
        }
    }
    figures
}

/// Runs this many batches and returns the time that was spent in what is measured, per message.
type Meter = Box<dyn FnMut(u32) -> f64>;

/// One for writing and one for reading.
fn meters(sample: &Sample, encoding: Encoding) -> [Meter; 2] {
    let frame = Frame { request_id: 0x1234_5678, encoding, message: sample.message.clone() };
    match sample.carrier {
        Carrier::Datagram => {
            let datagram = bytes_of(DatagramCodec, &frame);
            [encode_meter(DatagramCodec, frame), datagram_meter(datagram)]
        }
        Carrier::Stream => {
            let bytes = bytes_of(FrameCodec::for_content(), &frame);
            [encode_meter(FrameCodec::for_content(), frame), stream_meter(&bytes)]
        }
    }
}

fn bytes_of(mut codec: impl Encoder<Frame, Error = FramingError>, frame: &Frame) -> BytesMut {
    let mut bytes = BytesMut::new();
    codec.encode(frame.clone(), &mut bytes).expect("samples fit one frame");
    bytes
}

/// Writes into one buffer that is used again and again, as a server does.
fn encode_meter(mut codec: impl Encoder<Frame, Error = FramingError> + 'static, frame: Frame) -> Meter {
    let mut out = BytesMut::with_capacity(HEADER_BYTES + DATA_BYTES_MAX);
    let messages = BATCH_MESSAGES_MAX;
    meter(
        messages,
        move || vec![frame.clone(); messages],
        move |frames| {
            for frame in frames.drain(..) {
                out.clear();
                codec.encode(black_box(frame), &mut out).expect("samples fit one frame");
                black_box(&out);
            }
        },
    )
}

/// Reads each datagram from a buffer of its own, as a socket fills them.
fn datagram_meter(datagram: BytesMut) -> Meter {
    let messages = BATCH_MESSAGES_MAX;
    meter(
        messages,
        move || vec![datagram.clone(); messages],
        |datagrams| {
            for mut datagram in datagrams.drain(..) {
                accept(DatagramCodec.decode(black_box(&mut datagram)));
            }
        },
    )
}

/// Reads all frames from one buffer, where they stand one behind the other, as a stream fills it.
fn stream_meter(frame: &BytesMut) -> Meter {
    let messages = (BATCH_BYTES / frame.len()).clamp(1, BATCH_MESSAGES_MAX);
    let frames = frame.repeat(messages);
    meter(
        messages,
        move || BytesMut::from(frames.as_slice()),
        move |stream| {
            let mut codec = FrameCodec::for_content();
            for _ in 0..messages {
                accept(codec.decode(black_box(stream)));
            }
        },
    )
}

/// A message that isn't read as it was written would be a figure about nothing.
fn accept(received: Result<Option<Received>, FramingError>) {
    let received = black_box(received);
    assert!(matches!(received, Ok(Some(Received::Frame(_)))), "samples are read as they were written");
}

/// What `prepare` makes, and what is left of it afterwards, is not timed.
fn meter<B>(
    messages: usize,
    mut prepare: impl FnMut() -> B + 'static,
    mut run: impl FnMut(&mut B) + 'static,
) -> Meter {
    Box::new(move |batches| {
        let mut timed = Duration::ZERO;
        for _ in 0..batches {
            let mut batch = prepare();
            let start = Instant::now();
            run(&mut batch);
            timed += start.elapsed();
        }
        timed.as_secs_f64() * 1e9 / (f64::from(batches) * messages as f64)
    })
}

/// Takes the best of as many rounds as the budget for each figure allows, by turns.
///
/// Best, and not mean: whatever else the machine does makes a round slower, never faster.
fn measure(figures: &mut [Figure], budget: Duration) {
    let end = Instant::now() + budget * u32::try_from(figures.len()).expect("a few figures");
    for figure in &mut *figures {
        if figure.batches == 0 {
            figure.batches = calibrated(&mut figure.meter, budget / ROUND_PART);
        }
    }
    loop {
        for figure in &mut *figures {
            figure.best_ns = figure.best_ns.min((figure.meter)(figure.batches));
        }
        if Instant::now() >= end {
            return;
        }
    }
}

/// How many batches make a round of about this length.
fn calibrated(meter: &mut Meter, round: Duration) -> u32 {
    let mut batches = 1;
    loop {
        let start = Instant::now();
        meter(batches);
        if start.elapsed() >= round {
            return batches;
        }
        batches *= 2;
    }
}
